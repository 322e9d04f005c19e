"""What the pipeline needs of an engine."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor

from server.tools.content import ContentParser


@dataclass(frozen=True, slots=True)
class EngineImage:
    """A finished image: `image_embeds` (length, hidden) replace the prompt's rows from `offset`.

    `key` names the content and all that shaped it: it enters the prefix cache's hashes.
    """

    key: str
    offset: int
    image_embeds: Tensor


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How to draw tokens and when to stop; temperature 0 is greedy.

    `logprobs` asks for the log probability of each token and of so many of the likeliest ones in
    its place, `prompt_logprobs` for the same of the prompt. `grammar` (llguidance's Lark) is what
    the answer has to be a sentence of.
    """

    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None
    stop: Sequence[str]
    ignore_eos: bool
    stop_token_ids: Sequence[int] = ()
    min_tokens: int = 0  # before them nothing stops it
    n: int = 1
    top_k: int = 0  # all
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] | None = None
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    grammar: str | None = None
    skip_special_tokens: bool = True  # in the text


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's log probability, and those of the likeliest `(token_id, logprob)` in its place.

    The token itself is among them, even where it is not as likely as the others.
    """

    token_id: int
    logprob: float
    top: Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class EngineOutput:
    """What was generated since the last output for one of the `n` answers.

    `finish_reason` is set on an answer's last one only. `first_token_s` is the time from submission
    to the first token, `num_cached_tokens` the prompt tokens that the prefix cache held.
    `prompt_logprobs` come with the first output; a prompt's first token has none.
    """

    text: str
    num_tokens: int
    finish_reason: Literal["stop", "length"] | None
    first_token_s: float
    num_cached_tokens: int
    index: int = 0
    token_ids: Sequence[int] = ()
    logprobs: Sequence[TokenLogprob] = ()
    prompt_logprobs: Sequence[TokenLogprob | None] = ()


class ToolParser(Protocol):
    """Reads the calls of models that have a format of their own."""

    def reader(self, tools: Sequence[dict[str, Any]]) -> ContentParser:
        """Return a reader of one answer; `tools` are as OpenAI has them."""
        ...


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
        sampling: SamplingOptions,
        *,
        stream: bool,
        adapter: str | None = None,
    ) -> AsyncGenerator[EngineOutput, None]:
        """Decode a prompt's answers: many outputs each if `stream`, else one with the whole text.

        `adapter` names the LoRA adapter to decode with. Closing the iterator, or cancelling its
        consumer, aborts the sequences. Raises `server.errors.EngineUnavailable` when the engine
        dies or drops them.
        """
        ...

    def tool_parser(self, name: str) -> ToolParser:
        """Return a tool parser. Raises `CheckpointError` if there is none."""
        ...

    async def load_adapters(self) -> None:
        """Load the LoRA adapters. Raises `server.checkpoint.config.CheckpointError`."""
        ...

    async def died(self) -> None:
        """Return when the engine can generate no more."""
        ...

    def close(self) -> None:
        """End the engine and its processes."""
        ...
