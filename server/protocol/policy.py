"""What the operator's settings mean for request bodies."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class RequestPolicy:
    """The settings that bodies are checked against.

    `ignore_unknown`: ignore unknown fields instead of refusing them. `trust_chat_template`: let
    requests bring a chat template. `default_model`: the model of requests that name none; None
    where they have to.
    """

    ignore_unknown: bool = False
    trust_chat_template: bool = False
    default_model: str | None = None


STRICT: Final = RequestPolicy()
