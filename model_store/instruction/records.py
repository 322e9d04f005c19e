"""LLaVA's JSON records, and the files that hold them."""

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from asking.files import write_atomically

Kind = Literal["conversation", "detail", "complex"]
KINDS: Final[tuple[Kind, ...]] = ("conversation", "detail", "complex")
FILES: Final[Mapping[Kind, str]] = {
    "conversation": "conversation.json",
    "detail": "detail.json",
    "complex": "complex_reasoning.json",
}
ALL_FILE: Final = "instruct.json"
IMAGE_TOKEN: Final = "<image>"  # noqa: S105 - a placeholder, no secret

Pair = tuple[str, str]
Record = dict[str, Any]


def build_record(
    record_id: str, image: str, pairs: Sequence[Pair], placement: random.Random
) -> Record:
    """Return a record of questions and answers.

    `placement` draws whether the image precedes or follows the first question, as in the released
    data (arXiv 2304.08485, section 4.2).
    """
    before = placement.random() < 0.5
    turns: list[dict[str, str]] = []
    for number, (question, answer) in enumerate(pairs):
        text = question if number else _add_image_token(question, before)
        turns.append({"from": "human", "value": text})
        turns.append({"from": "gpt", "value": answer})
    return {"id": record_id, "image": image, "conversations": turns}


def write_records(out: Path, kinds: Sequence[Kind], records: Sequence[tuple[Kind, Record]]) -> None:
    """Write a JSON array for each of `kinds`, and one of all kinds, in the order of `records`."""
    for kind in kinds:
        write_atomically(
            out / FILES[kind],
            _format_array(record for record_kind, record in records if record_kind == kind),
        )
    write_atomically(out / ALL_FILE, _format_array(record for _, record in records))


def _add_image_token(question: str, before: bool) -> str:
    return f"{IMAGE_TOKEN}\n{question}" if before else f"{question}\n{IMAGE_TOKEN}"


def _format_array(records: Iterable[Record]) -> Iterator[str]:
    yield "["
    for number, record in enumerate(records):
        yield ",\n" if number else "\n"
        yield json.dumps(record, ensure_ascii=False)
    yield "\n]\n"
