"""The turns so far, what they become in a request, and the images that wait for a question."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from server.terminal.image import AttachedImage

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PendingQuestion:
    """A question and its images."""

    text: str
    pictures: tuple[AttachedImage, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """A question and its answer, which may have been stopped."""

    asked: PendingQuestion
    answer: str


@dataclass(slots=True)
class ChatHistory:
    """Turns with answers only: a question that failed never becomes part of it.

    `waiting` holds the images for the next question; `detail` goes with every image.
    """

    system: str = ""
    detail: str | None = None
    turns: list[ChatTurn] = field(default_factory=list)
    waiting: list[AttachedImage] = field(default_factory=list)

    def messages(self, turns: Sequence[ChatTurn], *asked: PendingQuestion) -> list[Message]:
        """Return these turns, and a new question, in OpenAI's form."""
        messages: list[Message] = []
        if self.system:
            messages.append({"role": "system", "content": self.system})
        for turn in turns:
            messages.append(self._user(turn.asked))
            messages.append({"role": "assistant", "content": turn.answer})
        return messages + [self._user(question) for question in asked]

    def clear(self) -> None:
        """Begin anew; the system message stays."""
        self.turns.clear()
        self.waiting.clear()

    def _user(self, asked: PendingQuestion) -> Message:
        if not asked.pictures:
            return {"role": "user", "content": asked.text}
        detail = {"detail": self.detail} if self.detail else {}
        parts: list[Message] = [
            {"type": "image_url", "image_url": {"url": picture.url, **detail}}
            for picture in asked.pictures
        ]
        return {"role": "user", "content": [*parts, {"type": "text", "text": asked.text}]}
