"""The conversation so far, and the attachments of the next question."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from server.terminal.affinity import Affinity
from server.terminal.attachment import Attachment

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class UserMessage:
    """A question, and its images and videos in order."""

    text: str
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """A question and its answer, which may be incomplete."""

    question: UserMessage
    answer: str


@dataclass(slots=True)
class ChatHistory:
    """Turns with answers; a failed question is not part of it.

    `attachments` go with the next question; `detail` goes with every image. `affinity` routes all
    turns to the same replica.
    """

    system: str = ""
    detail: str | None = None
    turns: list[ChatTurn] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    affinity: Affinity = field(default_factory=Affinity)

    def build_messages(self, turns: Sequence[ChatTurn], *questions: UserMessage) -> list[Message]:
        """Build OpenAI's messages of these turns and new questions."""
        messages: list[Message] = []
        if self.system:
            messages.append({"role": "system", "content": self.system})
        for turn in turns:
            messages.append(self._build_user_message(turn.question))
            messages.append({"role": "assistant", "content": turn.answer})
        return messages + [self._build_user_message(question) for question in questions]

    def clear(self) -> None:
        """Remove turns and attachments; the system message stays."""
        self.affinity = Affinity()
        self.turns.clear()
        self.attachments.clear()

    def _build_user_message(self, question: UserMessage) -> Message:
        if not question.attachments:
            return {"role": "user", "content": question.text}
        parts = list(map(self._build_part, question.attachments))
        return {"role": "user", "content": [*parts, {"type": "text", "text": question.text}]}

    def _build_part(self, attachment: Attachment) -> Message:
        """Build OpenAI's part of an image, or vLLM's of a video."""
        if attachment.kind == "video":
            return {"type": "video_url", "video_url": {"url": attachment.url}}
        detail = {"detail": self.detail} if self.detail else {}
        return {"type": "image_url", "image_url": {"url": attachment.url, **detail}}
