"""Asks the teacher for all records, and asks again if an answer is malformed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asking.endpoint import Endpoint
from asking.run import ask_all
from asking.wire import Answer
from model_store.instruction.captions.answers import MalformedAnswer
from model_store.instruction.captions.record_request import RecordRequest
from model_store.instruction.records import Kind, Record


@dataclass(frozen=True, slots=True)
class RejectedAnswer:
    """A malformed answer; `attempt` counts from 1."""

    request: RecordRequest
    attempt: int
    reason: str
    answer: Answer

    def as_json(self) -> dict[str, Any]:
        """Return a line of `set_aside.jsonl`."""
        about = {"id": self.request.context.id, "kind": self.request.kind, "try": self.attempt}
        return {**about, "reason": self.reason, **asdict(self.answer)}


@dataclass(slots=True)
class TeachingResult:
    """The results of all requests, by the question's key.

    `records` are keyed by the first attempt; `failures` give the reason for a missing answer.
    """

    requests: Sequence[RecordRequest]
    records: dict[str, Record] = field(default_factory=dict)
    rejected: list[RejectedAnswer] = field(default_factory=list)
    failures: dict[str, tuple[RecordRequest, str]] = field(default_factory=dict)

    def list_records(self) -> list[tuple[Kind, Record]]:
        """Return the records in the order of the requests."""
        keys = ((request.kind, request.build_key(1)) for request in self.requests)
        return [(kind, self.records[key]) for kind, key in keys if key in self.records]


async def teach(
    endpoint: Endpoint, requests: Sequence[RecordRequest], journal: Path, seed: int, tries: int
) -> TeachingResult:
    """Ask for every record up to `tries` times, until there is a well-formed answer.

    `journal` stores all answers, and a question whose answer it holds is not asked again. Raises
    the errors of `ask_all`.
    """
    result = TeachingResult(requests)
    pending = list(requests)
    for attempt in range(1, tries + 1):
        if pending:
            pending = await _ask_once(endpoint, pending, journal, seed, attempt, result)
    return result


async def _ask_once(
    endpoint: Endpoint,
    pending: Sequence[RecordRequest],
    journal: Path,
    seed: int,
    attempt: int,
    result: TeachingResult,
) -> list[RecordRequest]:
    """Ask for each record once; return the requests whose answers are malformed."""
    title = "teacher" if attempt == 1 else f"teacher, try {attempt}"
    questions = [request.build_question(attempt) for request in pending]
    answers = await ask_all(endpoint, questions, journal, title)
    malformed: list[RecordRequest] = []
    for request in pending:
        key = request.build_key(attempt)
        if key in answers.failures:
            result.failures[key] = (request, answers.failures[key])
            continue
        answer = answers.by_question[key]
        try:
            result.records[request.build_key(1)] = request.parse_answer(answer, seed)
        except MalformedAnswer as error:
            result.rejected.append(RejectedAnswer(request, attempt, str(error), answer))
            malformed.append(request)
    return malformed
