"""LLaVA's records: conversations about images, or about none."""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

from training.tuning.errors import DataError
from training.tuning.webdataset import TarMember

IMAGE_TAG: Final = "<image>"
# Roles by the names that records give them: LLaVA's own, and those of chat APIs.
ROLES: Final[Mapping[str, str]] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}


@dataclass(frozen=True, slots=True)
class Record:
    """A conversation. `turns` are (role, text), `images` the files as the record names them, or
    those of its shard.

    `source` says where it comes from: the file, and the line or the number in the list.
    """

    id: str
    images: tuple[str | TarMember, ...]
    turns: tuple[tuple[str, str], ...]
    system: str | None = None
    source: str = ""

    @property
    def num_words(self) -> int:
        """The number of words of all turns: the length that batches are grouped by."""
        return sum(len(text.split()) for _, text in self.turns)


def parse_record(content: Any, source: str) -> Record:
    """Check a record as its file has it. Raises `DataError` with its place and what is wrong."""
    try:
        return _parse(content, source)
    except _Flaw as flaw:
        raise DataError(f"{source}: {flaw}") from None


class _Flaw(Exception):
    """What is wrong with a record."""


def _parse(content: Any, source: str) -> Record:
    if not isinstance(content, Mapping):
        raise _Flaw("it is not a JSON object")
    for name, wrong in (("conversations", "messages"), ("image", "images")):
        if name not in content and content.get(wrong):
            raise _Flaw(f"it has {wrong!r}, where {name!r} is needed")
    turns = _read_turns(content.get("conversations"))
    system = None
    if turns[0][0] == "system":
        (_, system), *turns = turns
    _check_order(turns)
    images = _read_images(content.get("image"))
    _check_tags(turns, images)
    number = content.get("id", "")
    name = str(number) if isinstance(number, str | int | float) else ""
    return Record(name, images, tuple(turns), system, source)


def _read_turns(conversations: Any) -> list[tuple[str, str]]:
    if conversations is None:
        raise _Flaw("it has no 'conversations'")
    if not isinstance(conversations, Sequence) or isinstance(conversations, str):
        raise _Flaw("'conversations' is not a list")
    if not conversations:
        raise _Flaw("'conversations' is empty")
    return [_read_turn(turn, number) for number, turn in enumerate(conversations, 1)]


def _read_turn(turn: Any, number: int) -> tuple[str, str]:
    if not isinstance(turn, Mapping) or not isinstance(turn.get("value"), str):
        raise _Flaw(f"turn {number} has no text 'value'")
    speaker = turn.get("from")
    role = ROLES.get(speaker) if isinstance(speaker, str) else None
    if role is None:
        raise _Flaw(f"turn {number} is from {reprlib.repr(speaker)}; roles are {', '.join(ROLES)}")
    text: str = turn["value"]
    if not text.strip():
        raise _Flaw(f"turn {number} is empty")
    if not _is_unicode(text):
        raise _Flaw(f"turn {number} holds half of a surrogate pair, which is not text")
    return role, text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_order(turns: Sequence[tuple[str, str]]) -> None:
    if not turns:
        raise _Flaw("it has only a system text")
    for number, ((role, _), expected) in enumerate(
        zip(turns, cycle(("user", "assistant")), strict=False), 1
    ):
        if role != expected:
            raise _Flaw(f"turn {number} is the {role}'s, where the {expected}'s must come")
    if len(turns) % 2:
        raise _Flaw("it ends with the user's turn: there is nothing to learn")


def _read_images(images: Any) -> tuple[str | TarMember, ...]:
    if images is None:
        return ()
    listed = [images] if isinstance(images, str) else images
    if not isinstance(listed, Sequence) or not all(
        each and isinstance(each, str | TarMember) for each in listed
    ):
        raise _Flaw("'image' must be a file's name or a list of them")
    return tuple(listed)


def _check_tags(turns: Sequence[tuple[str, str]], images: Sequence[str | TarMember]) -> None:
    """Check that each image has a place. One image may have several tags in its turn."""
    if not images:
        return  # then a tag is text
    if any(IMAGE_TAG in text for role, text in turns if role != "user"):
        raise _Flaw(f"an answer contains {IMAGE_TAG}")
    counts = [text.count(IMAGE_TAG) for _, text in turns]
    if len(images) > 1 and sum(counts) != len(images):
        raise _Flaw(f"it has {sum(counts)} {IMAGE_TAG} for {len(images)} images")
    num_turns = sum(map(bool, counts))
    if len(images) == 1 and num_turns != 1:
        found = f"{IMAGE_TAG} in {num_turns} turns" if num_turns else f"no {IMAGE_TAG}"
        raise _Flaw(f"it has {found} for its image")
