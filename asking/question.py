"""A question to an endpoint, and the record of its answer."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asking.endpoint import Endpoint
from asking.images import QuestionImage
from asking.wire import Answer, Message, build_messages


@dataclass(frozen=True, slots=True)
class ChatQuestion:
    """One question; `metadata` is recorded with its answer.

    `history` holds the earlier turns as (user, assistant) pairs.
    """

    question_id: str
    prompt: str
    system: str = ""
    image: QuestionImage | None = None
    history: Sequence[tuple[str, str]] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def build_messages(self) -> list[Message]:
        """Build the request's messages; reads and encodes the image."""
        url = self.image.to_data_url() if self.image else None
        return build_messages(self.prompt, self.system, url, self.history)

    def compute_digest(self, endpoint: Endpoint) -> str:
        """Return the SHA-256 of model, fields and question."""
        image = self.image.name if self.image else None
        asked = [self.system, list(self.history), self.prompt, image]
        parts = [endpoint.model, dict(endpoint.fields), *asked]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def build_record(self, endpoint: Endpoint, answer: Answer) -> dict[str, Any]:
        """Build the journal's line, with the keys of LLaVA's own answer files."""
        return {
            "question_id": self.question_id,
            "prompt": f"<image>\n{self.prompt}" if self.image else self.prompt,
            "text": answer.text,
            "finish_reason": answer.finish_reason,
            "model_id": endpoint.model,
            "asked": self.compute_digest(endpoint),
            **self.metadata,
        }
