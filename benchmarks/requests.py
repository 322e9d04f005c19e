"""Request bodies of the load: seeded questions, images and conversations.

JSON is joined from bytes, since images are large and the load shares cores with the server.
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
class RequestOptions:
    """Model and generation options of a workload's requests."""

    model: str
    max_tokens: int
    stream: bool


class ImageSource(Protocol):
    """A source of different images."""

    def build(self, number: int) -> bytes:
        """Build image `number`."""
        ...


class Conversation(Protocol):
    """The requests of one client; each answer may become part of the next request."""

    def build_next_body(self) -> bytes:
        """Build the body of the next request."""
        ...

    def record_answer(self, text: str) -> None:
        """Append an answer to the history, if there is one."""
        ...

    has_history: bool


class UniqueNumbers:
    """A counter that all clients of a run share."""

    def __init__(self, first: int) -> None:
        self._next = first

    def take(self) -> int:
        """Return the next number."""
        self._next += 1
        return self._next


class SingleTurnQuestions:
    """Single questions, each with a new image, the same image, or none."""

    has_history = False

    def __init__(
        self,
        options: RequestOptions,
        numbers: UniqueNumbers,
        images: ImageSource | None,
        *,
        repeated: bool,
        detail: str | None = None,
    ) -> None:
        self._options = options
        self._numbers = numbers
        self._images = images
        self._detail = detail
        self._repeated_image_part = (
            build_image_part(images.build(0), detail) if images and repeated else None
        )

    def build_next_body(self) -> bytes:
        """Build a question with its image."""
        number = self._numbers.take()
        parts = (
            []
            if self._images is None
            else [self._repeated_image_part or self._build_new_image_part(number)]
        )
        return build_body([build_user_message(build_question(number), parts)], self._options)

    def record_answer(self, text: str) -> None:
        """Ignore the answer."""

    def _build_new_image_part(self, number: int) -> bytes:
        if self._images is None:
            raise ValueError("no images")
        return build_image_part(self._images.build(number), self._detail)


class MultiTurnChat:
    """Chats of six turns and three images; each request sends the full history."""

    has_history = True
    TURNS: Final = 6

    def __init__(
        self, options: RequestOptions, numbers: UniqueNumbers, images: Sequence[ImageSource]
    ) -> None:
        self._options = options
        self._numbers = numbers
        self._images = images
        self._turns: list[bytes] = []

    def build_next_body(self) -> bytes:
        """Build the history with the next question; every second question has an image."""
        turn, odd = divmod(len(self._turns) // 2 % self.TURNS, 2)
        if not (turn or odd):
            self._turns = []
        number = self._numbers.take()
        parts = [] if odd else [build_image_part(self._images[turn].build(number))]
        self._turns.append(build_user_message(build_question(number), parts))
        return build_body(self._turns, self._options)

    def record_answer(self, text: str) -> None:
        """Append the answer to the history."""
        self._turns.append(json.dumps({"role": "assistant", "content": text}).encode())


def build_question(number: int) -> str:
    """Build a question of some twenty words."""
    choice = random.Random(number)  # noqa: S311 - no secret
    words = " ".join(choice.choices(WORDS, k=12))
    return f"What do you see of {choice.choice(SUBJECTS)}? Think of {words}, and of {number}."


def build_image_part(data: bytes, detail: str | None = None) -> bytes:
    """Build the content part of an image, as JSON."""
    kind = b"jpeg" if data[:2] == b"\xff\xd8" else b"png"
    url = b"".join((b"data:image/", kind, b";base64,", pybase64.b64encode(data)))
    option = b"" if detail is None else b'", "detail": "' + detail.encode()
    return b"".join((b'{"type": "image_url", "image_url": {"url": "', url, option, b'"}}'))


def build_user_message(text: str, parts: Sequence[bytes]) -> bytes:
    """Build a user message, as JSON."""
    content = b", ".join([*parts, json.dumps({"type": "text", "text": text}).encode()])
    return b"".join((b'{"role": "user", "content": [', content, b"]}"))


def build_body(turns: Sequence[bytes], options: RequestOptions) -> bytes:
    """Build a request body; answers have a fixed length."""
    rest: dict[str, Any] = {
        "model": options.model,
        "max_tokens": options.max_tokens,
        "temperature": 0,
        # Suppresses EOS: tokens after one have no text, and the stream would seem to stall.
        "min_tokens": options.max_tokens,
        "stream": options.stream,
    }
    if options.stream:
        rest["stream_options"] = {"include_usage": True}
    messages = b", ".join(turns)
    return b"".join((b'{"messages": [', messages, b"], ", json.dumps(rest)[1:].encode()))
