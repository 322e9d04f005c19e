"""The bodies that the load sends: seeded questions, pictures and conversations.

JSON is joined from bytes, since pictures are large and the load shares the server's cores.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pybase64

SUBJECTS: Final = ("the picture", "the scene", "the left side", "the corner", "the background")
WORDS: Final = (
    *("red", "blue", "green", "yellow", "circle", "square", "star", "triangle", "large", "small"),
    *("top", "bottom", "left", "right", "centre", "bright", "dark", "count", "colour", "shape"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """What every request of a workload says of its answer."""

    model: str
    max_tokens: int
    stream: bool


class Pictures(Protocol):
    """A source of different pictures."""

    def new(self, number: int) -> bytes:
        """Return picture `number`."""
        ...


class Conversation(Protocol):
    """What one client says, request after request; each answer may shape the next."""

    def next_body(self) -> bytes:
        """Return the body of the next request."""
        ...

    def answered(self, text: str) -> None:
        """Take the answer into the history."""
        ...

    keeps_history: bool


class Numbers:
    """Numbers that no two requests of a run share, whichever client sends them."""

    def __init__(self, first: int) -> None:
        self._next = first

    def take(self) -> int:
        """Return a number that was not given out before."""
        self._next += 1
        return self._next


class Questions:
    """New questions, each about a new picture, about the same one, or about none."""

    keeps_history = False

    def __init__(
        self, options: Options, numbers: Numbers, pictures: Pictures | None, *, repeated: bool
    ) -> None:
        self._options = options
        self._numbers = numbers
        self._pictures = pictures
        self._same = picture_part(pictures.new(0)) if pictures and repeated else None

    def next_body(self) -> bytes:
        """Return a question with its picture."""
        number = self._numbers.take()
        parts = [] if self._pictures is None else [self._same or self._new_picture(number)]
        return body([user_turn(question(number), parts)], self._options)

    def answered(self, text: str) -> None:
        """Forget the answer."""

    def _new_picture(self, number: int) -> bytes:
        if self._pictures is None:
            raise ValueError("no pictures")
        return picture_part(self._pictures.new(number))


class Chat:
    """Chats of six turns over three pictures, the whole history sent with each turn."""

    keeps_history = True
    TURNS: Final = 6

    def __init__(self, options: Options, numbers: Numbers, pictures: Sequence[Pictures]) -> None:
        self._options = options
        self._numbers = numbers
        self._pictures = pictures
        self._turns: list[bytes] = []

    def next_body(self) -> bytes:
        """Return the conversation so far with the next question, a picture in every second."""
        turn, odd = divmod(len(self._turns) // 2 % self.TURNS, 2)
        if not (turn or odd):
            self._turns = []
        number = self._numbers.take()
        parts = [] if odd else [picture_part(self._pictures[turn].new(number))]
        self._turns.append(user_turn(question(number), parts))
        return body(self._turns, self._options)

    def answered(self, text: str) -> None:
        """Append the answer to the history."""
        self._turns.append(json.dumps({"role": "assistant", "content": text}).encode())


def question(number: int) -> str:
    """Return a question of some twenty words."""
    choice = random.Random(number)  # noqa: S311 - no secret
    words = " ".join(choice.choices(WORDS, k=12))
    return f"What do you see of {choice.choice(SUBJECTS)}? Think of {words}, and of {number}."


def picture_part(data: bytes) -> bytes:
    """Return the content part of a picture, as JSON."""
    kind = b"jpeg" if data[:2] == b"\xff\xd8" else b"png"
    url = b"".join((b"data:image/", kind, b";base64,", pybase64.b64encode(data)))
    return b"".join((b'{"type": "image_url", "image_url": {"url": "', url, b'"}}'))


def user_turn(text: str, parts: Sequence[bytes]) -> bytes:
    """Return a user's message, as JSON."""
    content = b", ".join([*parts, json.dumps({"type": "text", "text": text}).encode()])
    return b"".join((b'{"role": "user", "content": [', content, b"]}"))


def body(turns: Sequence[bytes], options: Options) -> bytes:
    """Return a request's body around its messages; answers have a fixed length."""
    rest: dict[str, Any] = {
        "model": options.model,
        "max_tokens": options.max_tokens,
        "temperature": 0,
        # Without EOS: those that follow one are no text, so that a stream would seem to stall.
        "min_tokens": options.max_tokens,
        "stream": options.stream,
    }
    if options.stream:
        rest["stream_options"] = {"include_usage": True}
    messages = b", ".join(turns)
    return b"".join((b'{"messages": [', messages, b"], ", json.dumps(rest)[1:].encode()))
