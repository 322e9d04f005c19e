"""What the pipeline needs of an engine."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class EngineImage:
    """A finished image: `image_embeds` (length, hidden) replace the prompt's rows from `offset`.

    `key` names the content and all that shaped it: it enters the prefix cache's hashes.
    """

    key: str
    offset: int
    image_embeds: Tensor


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw tokens and when to stop; temperature 0 is greedy."""

    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None
    stop: Sequence[str]
    ignore_eos: bool
    stop_token_ids: Sequence[int] = ()
    min_tokens: int = 0  # before them nothing stops it


@dataclass(frozen=True, slots=True)
class Output:
    """What was generated since the last output.

    `finish_reason` is set on the last one only. `first_token_s` is the time from submission to the
    first token, `num_cached_tokens` the prompt tokens that the prefix cache held.
    """

    text: str
    num_tokens: int
    finish_reason: Literal["stop", "length"] | None
    first_token_s: float
    num_cached_tokens: int


class Engine(Protocol):
    """A language model that decodes many sequences at once."""

    @property
    def max_model_len(self) -> int:
        """Context in tokens: prompt and answer together."""
        ...

    def generate(
        self,
        request_id: str,
        token_ids: list[int],
        images: Sequence[EngineImage],
        sampling: Sampling,
        *,
        stream: bool,
    ) -> AsyncGenerator[Output, None]:
        """Decode one sequence: many outputs if `stream`, else one with the whole text.

        Closing the iterator, or cancelling its consumer, aborts the sequence.
        Raises `server.errors.EngineUnavailable` when the engine dies or drops the sequence.
        """
        ...

    async def died(self) -> None:
        """Return when the engine can generate no more."""
        ...

    def close(self) -> None:
        """End the engine and its processes."""
        ...
