"""One request on its way through the cell, and its outcome."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

NEVER: Final = -1.0


class Outcome(StrEnum):
    """The outcome for the client."""

    PENDING = "pending"
    COMPLETED = "completed"
    REFUSED = "refused"  # 429
    FAILED = "failed"  # cut by a lost node
    NO_REPLICA = "no replica"  # 503


@dataclass(slots=True, eq=False)
class Request:
    """A turn of a conversation. Times are seconds of the simulation.

    The prompt's first `prefix_tokens` are the same for all conversations about the image.
    `affinity` is the value of `x-llava-affinity` as the router sees it, None without the header.
    """

    conversation: int
    image: int | None
    prefix_tokens: int
    prompt_tokens: int
    answer_tokens: int
    affinity: str | None = None
    arrived_s: float = 0.0
    first_token_s: float = NEVER
    ended_s: float = NEVER
    outcome: Outcome = Outcome.PENDING
    cached_tokens: int = 0  # of the prompt, found in the prefix cache
    is_image_cached: bool = False
    finish_step: int = field(default=0, repr=False)  # of the engine, when the last token is there

    @property
    def total_tokens(self) -> int:
        """Tokens in the KV cache when the answer is complete."""
        return self.prompt_tokens + self.answer_tokens

    @property
    def ttft_s(self) -> float:
        """Seconds to the first token."""
        return self.first_token_s - self.arrived_s

    def end(self, outcome: Outcome, now_s: float) -> None:
        """Record how and when the request ended."""
        self.outcome, self.ended_s = outcome, now_s
