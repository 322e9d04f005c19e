"""Puts many questions to an endpoint at once and keeps every answer as it comes."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from asking.endpoint import Endpoint, EndpointConfig, open_endpoint
from asking.errors import (
    EndpointDown,
    EndpointError,
    EndpointRefused,
    RunError,
    Unfinished,
)
from asking.journal import Journal
from asking.question import Ask
from asking.wire import Answer

# So many failures without an answer in between mean that nobody is there.
_HOPELESS = 10


@dataclass(slots=True)
class Answers:
    """Answers of `model` by question id, and why there is none where there is none."""

    model: str
    found: dict[str, Answer] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> dict[str, str]:
        """What was said, by question id."""
        return {question_id: answer.text for question_id, answer in self.found.items()}

    def demand_all(self, path: Path) -> None:
        """Raise `Unfinished` where an answer is missing."""
        if self.failures:
            question_id, reason = next(iter(self.failures.items()))
            raise Unfinished(
                f"{len(self.failures)} of {len(self.failures) + len(self.found)} questions have no "
                f"answer in {path}; question {question_id}: {reason}. Run again to ask them again, "
                "or add --allow-failures to go on without them."
            )


async def ask_all(endpoint: Endpoint, asks: Sequence[Ask], path: Path, title: str) -> Answers:
    """Ask what `path` holds no answer to yet, `endpoint.concurrency` questions at a time.

    Raises `EndpointError` where no further question would be answered either, and what `Journal`
    and `Picture` raise.
    """
    with Journal(path) as journal:
        found = {
            ask.question_id: journal.find(ask.question_id, ask.digest(endpoint)) for ask in asks
        }
        known = {key: answer for key, answer in found.items() if answer is not None}
        answers = Answers(endpoint.model, known)
        pending = [ask for ask in asks if ask.question_id not in answers.found]
        with tqdm(desc=title, total=len(asks), initial=len(answers.found), unit="q") as bar:
            await _Round(endpoint, journal, answers, bar).run(pending)
    return answers


async def answered(
    config: EndpointConfig, asks: Sequence[Ask], path: Path, title: str, allow_failures: bool
) -> Answers:
    """Connect, `ask_all`, and insist on an answer to every question unless told otherwise.

    Raises `Unfinished` and what `open_endpoint` and `ask_all` raise.
    """
    async with open_endpoint(config) as endpoint:
        answers = await ask_all(endpoint, asks, path, title)
    if not allow_failures:
        answers.demand_all(path)
    return answers


class _Round:
    """The workers of one `ask_all` and what they share."""

    def __init__(
        self, endpoint: Endpoint, journal: Journal, answers: Answers, bar: "tqdm[Any]"
    ) -> None:
        self._endpoint = endpoint
        self._journal = journal
        self._answers = answers
        self._bar = bar
        self._in_a_row = 0

    async def run(self, pending: Sequence[Ask]) -> None:
        queue = iter(pending)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._endpoint.concurrency, len(pending))):
                    group.create_task(self._work(queue))
        except ExceptionGroup as errors:
            raise _first(errors) from None

    async def _work(self, queue: Iterator[Ask]) -> None:
        for ask in queue:
            try:
                messages = await asyncio.to_thread(ask.messages)
                answer = await self._endpoint.complete(messages)
            except EndpointRefused:
                raise
            except EndpointError as error:
                self._note_failure(ask, error)
            else:
                self._keep(ask, answer)
            self._bar.update()

    def _keep(self, ask: Ask, answer: Answer) -> None:
        self._journal.append(ask.record(self._endpoint, answer))
        self._answers.found[ask.question_id] = answer
        self._in_a_row = 0

    def _note_failure(self, ask: Ask, error: EndpointError) -> None:
        self._answers.failures[ask.question_id] = str(error)
        self._in_a_row += 1
        self._bar.set_postfix(failed=len(self._answers.failures))
        nobody_there = isinstance(error, EndpointDown) or not self._answers.found
        if nobody_there and self._in_a_row >= max(_HOPELESS, self._endpoint.concurrency):
            raise EndpointError(f"{self._in_a_row} questions in a row failed; the last: {error}")


def _first(errors: BaseExceptionGroup) -> BaseException:
    """The error to show: ours, if one of them is."""
    ours = [error for error in errors.exceptions if isinstance(error, RunError)]
    return (ours or errors.exceptions)[0]
