"""Asks an endpoint many questions concurrently and journals the answers."""

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
    IncompleteError,
    RunError,
)
from asking.journal import Journal
from asking.question import ChatQuestion
from asking.report import format_count
from asking.wire import Answer

# This many failures in a row mean that the endpoint is down.
_MAX_CONSECUTIVE_FAILURES = 10


@dataclass(slots=True)
class Answers:
    """Answers of `model`, and the reasons of failures, by question id."""

    model: str
    by_question: dict[str, Answer] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> dict[str, str]:
        """The answers' texts by question id."""
        return {question_id: answer.text for question_id, answer in self.by_question.items()}

    def raise_if_incomplete(self, path: Path) -> None:
        """Raise `IncompleteError` if an answer is missing."""
        if self.failures:
            question_id, reason = next(iter(self.failures.items()))
            asked = format_count(len(self.failures) + len(self.by_question), "question")
            raise IncompleteError(
                f"no answer to {len(self.failures)} of {asked} in {path}; "
                f"question {question_id}: {reason}. "
                "Run again to ask them again, or add --allow-failures to go on without them."
            )


async def ask_all(
    endpoint: Endpoint, questions: Sequence[ChatQuestion], answers_file: Path | Journal, title: str
) -> Answers:
    """Ask the questions that the file has no answer to, `endpoint.concurrency` at a time.

    `answers_file` is the path of a `Journal`, or a journal that is not open yet. Raises
    `EndpointError` if further questions would fail, too, and the errors of `Journal` and
    `QuestionImage`.
    """
    unopened = Journal(answers_file) if isinstance(answers_file, Path) else answers_file
    with unopened as journal:
        found = {
            question.question_id: journal.find(
                question.question_id, question.compute_digest(endpoint)
            )
            for question in questions
        }
        journaled = {key: answer for key, answer in found.items() if answer is not None}
        answers = Answers(endpoint.model, journaled)
        pending = [
            question for question in questions if question.question_id not in answers.by_question
        ]
        if pending:
            await endpoint.wait_until_reachable()
        with tqdm(
            desc=title, total=len(questions), initial=len(answers.by_question), unit="q"
        ) as bar:
            await _WorkerPool(endpoint, journal, answers, bar).run(pending)
    return answers


async def collect_answers(
    config: EndpointConfig,
    questions: Sequence[ChatQuestion],
    answers_file: Path | Journal,
    title: str,
    allow_failures: bool,
) -> Answers:
    """Open an endpoint and `ask_all`; every question needs an answer unless `allow_failures`.

    Raises `IncompleteError` and the errors of `open_endpoint` and `ask_all`.
    """
    async with open_endpoint(config) as endpoint:
        answers = await ask_all(endpoint, questions, answers_file, title)
    if not allow_failures:
        path = answers_file if isinstance(answers_file, Path) else answers_file.path
        answers.raise_if_incomplete(path)
    return answers


class _WorkerPool:
    """The workers of one `ask_all` and their shared state."""

    def __init__(
        self, endpoint: Endpoint, journal: Journal, answers: Answers, bar: "tqdm[Any]"
    ) -> None:
        self._endpoint = endpoint
        self._journal = journal
        self._answers = answers
        self._bar = bar
        self._consecutive_failures = 0

    async def run(self, pending: Sequence[ChatQuestion]) -> None:
        queue = iter(pending)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._endpoint.concurrency, len(pending))):
                    group.create_task(self._work(queue))
        except ExceptionGroup as errors:
            raise _select_error(errors) from None

    async def _work(self, queue: Iterator[ChatQuestion]) -> None:
        for question in queue:
            try:
                messages = await asyncio.to_thread(question.build_messages)
                answer = await self._endpoint.complete(messages)
            except EndpointRefused:
                raise
            except EndpointError as error:
                self._record_failure(question, error)
            else:
                self._record_answer(question, answer)
            self._bar.update()

    def _record_answer(self, question: ChatQuestion, answer: Answer) -> None:
        self._journal.append(question.build_record(self._endpoint, answer))
        self._answers.by_question[question.question_id] = answer
        self._consecutive_failures = 0

    def _record_failure(self, question: ChatQuestion, error: EndpointError) -> None:
        self._answers.failures[question.question_id] = str(error)
        self._consecutive_failures += 1
        self._bar.set_postfix(failed=len(self._answers.failures))
        is_down = isinstance(error, EndpointDown) or not self._answers.by_question
        if is_down and self._consecutive_failures >= max(
            _MAX_CONSECUTIVE_FAILURES, self._endpoint.concurrency
        ):
            raise EndpointError(
                f"{self._consecutive_failures} questions in a row failed; the last: {error}"
            )


def _select_error(errors: BaseExceptionGroup) -> BaseException:
    """Return the first `RunError`, or else the first error."""
    run_errors = [error for error in errors.exceptions if isinstance(error, RunError)]
    return (run_errors or errors.exceptions)[0]
