"""One run: a cell under traffic for a while, with events."""

import gc
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Self

import simpy

from benchmarks.fleet.cell import Cell
from benchmarks.fleet.conversation import Conversation, ConversationSource, Header
from benchmarks.fleet.engine import Steps
from benchmarks.fleet.parameters import Parameters
from benchmarks.fleet.request import Request
from benchmarks.fleet.routers import Policy, build_router
from benchmarks.fleet.samples import Sample, watch
from benchmarks.fleet.traffic import Load, Traffic

# Conversations before the start, for each image that a cache holds.
FILL: Final = 1.5


@dataclass(frozen=True)
class Setup:
    """The setup of a simulation. Figures count from `warm_up_s` to `seconds`."""

    parameters: Parameters
    replicas: int
    load: Load
    seconds: float
    warm_up_s: float = 60.0
    policy: Policy = Policy.BOUNDED_HASH
    header: Header = Header.IMAGE
    seed: int = 0

    def change(self, **changes: object) -> Self:
        """Return this setup with other parameters, named as in `Parameters`."""
        merged = Parameters(**{**self.parameters.model_dump(), **changes})
        return replace(self, parameters=merged)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector, which takes a fifth of the time and finds nothing."""
    gc.collect(1)  # what an earlier run has left
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Simulation:
    """A cell, its traffic and samples of it. The same setup gives the same run."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.env = simpy.Environment()
        parameters = setup.parameters
        router = build_router(setup.policy, parameters, self._generator("router"))
        self.cell = Cell(self.env, router, parameters, setup.replicas)
        self.source = ConversationSource(parameters, setup.header, self._generator("source"))
        self.traffic = Traffic(self.cell, self.source, setup.load, self._generator("traffic"))
        self.samples: list[Sample] = []

    def run(self, *events: Callable[[Cell], Steps]) -> Self:
        """Run to the end. `events` are processes that act on the cell."""
        self._warm_images()
        self.env.process(self.traffic.run())
        self.env.process(watch(self.cell, self.samples))
        for event in events:
            self.env.process(event(self.cell))
        with collector_paused():
            self.env.run(until=self.setup.seconds)
        return self

    @cached_property
    def counted(self) -> list[Request]:
        """The requests that arrived after the warm-up."""
        return [r for r in self.traffic.requests if r.arrived_s >= self.setup.warm_up_s]

    def _warm_images(self) -> None:
        """Fill image caches as long traffic would, but at once."""
        conversations = FILL * self.setup.parameters.image_cache * self.setup.replicas
        for number in range(-round(conversations), 0):
            conversation = self.source.draw(number)
            if conversation.image is not None:
                self._leave_image(conversation, conversation.image)

    def _leave_image(self, conversation: Conversation, image: int) -> None:
        """Cache an image where the conversation's turns will go."""
        seen: set[str] = set()
        for turn in range(len(conversation.answers)):
            request = self.source.build_request(conversation, turn)
            if request.affinity in seen:
                return  # the later turns go to the same replica
            if request.affinity is not None:
                seen.add(request.affinity)
            if (replica := self.cell.choose(request)) is not None:
                replica.images[image] = True

    def _generator(self, name: str) -> random.Random:
        return random.Random(f"{self.setup.seed} {name}")
