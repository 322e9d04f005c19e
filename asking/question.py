"""A question to an endpoint, and the line that is kept of it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asking.endpoint import Endpoint
from asking.pictures import Picture
from asking.wire import Answer, Message, chat


@dataclass(frozen=True, slots=True)
class Ask:
    """One question; `notes` are kept with its answer.

    `earlier` are turns of user and assistant that come before it.
    """

    question_id: str
    prompt: str
    system: str = ""
    picture: Picture | None = None
    earlier: Sequence[tuple[str, str]] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def messages(self) -> list[Message]:
        """The request's messages; reads and encodes the picture."""
        url = self.picture.data_url() if self.picture else None
        return chat(self.prompt, self.system, url, self.earlier)

    def digest(self, endpoint: Endpoint) -> str:
        """What tells this question to this model from any other."""
        picture = self.picture.name if self.picture else None
        asked = [self.system, list(self.earlier), self.prompt, picture]
        parts = [endpoint.model, dict(endpoint.fields), *asked]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def record(self, endpoint: Endpoint, answer: Answer) -> dict[str, Any]:
        """The line to keep, with the keys of LLaVA's own answer files."""
        return {
            "question_id": self.question_id,
            "prompt": f"<image>\n{self.prompt}" if self.picture else self.prompt,
            "text": answer.text,
            "finish_reason": answer.finish_reason,
            "model_id": endpoint.model,
            "asked": self.digest(endpoint),
            **self.notes,
        }
