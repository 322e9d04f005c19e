"""Traffic: conversations begin at random; clients ask again after each answer."""

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import simpy

from benchmarks.fleet.cell import Cell
from benchmarks.fleet.conversation import (
    Conversation,
    ConversationSource,
    compute_mean_turns,
)
from benchmarks.fleet.engine import Steps
from benchmarks.fleet.request import Outcome, Request

Asking = Generator[simpy.Event, Any, Request]


@dataclass(frozen=True, slots=True)
class Load:
    """Requests per second over time: each rate holds until its second, the last one forever."""

    steps: Sequence[tuple[float, float]]  # (until, requests per second)

    def get_rate(self, now_s: float) -> float:
        """Return the rate at a time."""
        return next((rate for until, rate in self.steps if now_s < until), self.steps[-1][1])


def constant(rate: float) -> Load:
    """Return a load that does not change."""
    return Load([(0.0, rate)])


@dataclass(slots=True)
class Traffic:
    """Starts conversations by a Poisson process, and keeps every request."""

    cell: Cell
    source: ConversationSource
    load: Load
    generator: random.Random
    requests: list[Request] = field(default_factory=list)

    def run(self) -> Steps:
        """Begin conversations forever, in addition to those under way at the start."""
        env = self.cell.env
        for number in count(self._resume_conversations()):
            yield env.timeout(self.generator.expovariate(self._compute_begin_rate()))
            env.process(self._converse(self.source.draw(number)))

    def _resume_conversations(self) -> int:
        """Start as many thinking clients as a steady load has at any time; return their number.

        Each of a conversation's pauses holds `begin rate x think_s` clients on average.
        """
        numbers = count()
        for _ in range(round(self._compute_begin_rate() * self.cell.parameters.think_s)):
            drawn = self.source.draw(0)
            for turn in range(1, len(drawn.answers)):
                conversation = replace(drawn, number=next(numbers))
                self.cell.env.process(self._resume(conversation, turn))
        return next(numbers)

    def _compute_begin_rate(self) -> float:
        """Return conversations that begin per second now."""
        rate = self.load.get_rate(self.cell.env.now)
        return rate / compute_mean_turns(self.cell.parameters)

    def _resume(self, conversation: Conversation, turn: int) -> Steps:
        yield self.cell.env.timeout(self._draw_think_s())
        yield from self._converse(conversation, turn)

    def _converse(self, conversation: Conversation, first: int = 0) -> Steps:
        """Ask the questions from a turn on; give up after an error, or after two failures."""
        for turn in range(first, len(conversation.answers)):
            request = yield from self._ask(conversation, turn)
            if request.outcome is Outcome.FAILED:
                yield self.cell.env.timeout(self.cell.parameters.retry_s)
                request = yield from self._ask(conversation, turn)
            if request.outcome is not Outcome.COMPLETED:
                return
            yield self.cell.env.timeout(self._draw_think_s())

    def _ask(self, conversation: Conversation, turn: int) -> Asking:
        request = self.source.build_request(conversation, turn)
        self.requests.append(request)
        yield from self.cell.serve(request)
        return request

    def _draw_think_s(self) -> float:
        mean_s = self.cell.parameters.think_s
        return self.generator.expovariate(1 / mean_s) if mean_s else 0.0
