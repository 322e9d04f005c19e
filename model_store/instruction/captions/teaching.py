"""Asks the teacher for all records, anew where an answer is malformed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asking.endpoint import Endpoint
from asking.run import ask_all
from asking.wire import Answer
from model_store.instruction.captions.answers import Malformed
from model_store.instruction.captions.wanted import Wanted
from model_store.instruction.records import Kind, Record


@dataclass(frozen=True, slots=True)
class SetAside:
    """A malformed answer; `attempt` counts from 1."""

    wanted: Wanted
    attempt: int
    reason: str
    answer: Answer

    def as_json(self) -> dict[str, Any]:
        """A line of `set_aside.jsonl`."""
        about = {"id": self.wanted.context.id, "kind": self.wanted.kind, "try": self.attempt}
        return {**about, "reason": self.reason, **asdict(self.answer)}


@dataclass(slots=True)
class Taught:
    """What came of all that was wanted; `failures` say why there is no answer, by question."""

    wanted: Sequence[Wanted]
    records: dict[str, Record] = field(default_factory=dict)
    set_aside: list[SetAside] = field(default_factory=list)
    failures: dict[str, tuple[Wanted, str]] = field(default_factory=dict)

    def made(self) -> list[tuple[Kind, Record]]:
        """The records in the order in which they were wanted."""
        keys = ((wanted.kind, wanted.key(1)) for wanted in self.wanted)
        return [(kind, self.records[key]) for kind, key in keys if key in self.records]


async def teach(
    endpoint: Endpoint, wanted: Sequence[Wanted], journal: Path, seed: int, tries: int
) -> Taught:
    """Ask for every record up to `tries` times, until there is a well-formed answer.

    All answers are kept in `journal`, and those that it holds are not asked for again. Raises what
    `ask_all` raises.
    """
    taught = Taught(wanted)
    pending = list(wanted)
    for attempt in range(1, tries + 1):
        if pending:
            pending = await _ask_once(endpoint, pending, journal, seed, attempt, taught)
    return taught


async def _ask_once(
    endpoint: Endpoint,
    pending: Sequence[Wanted],
    journal: Path,
    seed: int,
    attempt: int,
    taught: Taught,
) -> list[Wanted]:
    """Ask for each once; return those whose answers are malformed."""
    title = "teacher" if attempt == 1 else f"teacher, try {attempt}"
    asks = [wanted.ask(attempt) for wanted in pending]
    answers = await ask_all(endpoint, asks, journal, title)
    malformed: list[Wanted] = []
    for wanted in pending:
        key = wanted.key(attempt)
        if key in answers.failures:
            taught.failures[key] = (wanted, answers.failures[key])
            continue
        answer = answers.by_question[key]
        try:
            taught.records[wanted.key(1)] = wanted.record(answer, seed)
        except Malformed as flaw:
            taught.set_aside.append(SetAside(wanted, attempt, str(flaw), answer))
            malformed.append(wanted)
    return malformed
