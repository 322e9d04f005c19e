"""The engine's interface: what the pipeline submits and what it reads."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from torch import Tensor

from server.errors import ApiError
from server.tools.content import ContentParser


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An embedded image or video: `image_embeds` (num_image_tokens, hidden) for the prompt.

    They go in at `offset`. `key` identifies the content and its preprocessing: the prefix cache
    hashes it.
    """

    key: str
    offset: int
    image_embeds: Tensor


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Sampling and stop conditions; temperature 0 is greedy.

    `logprobs` requests the log probability of each token, and of that number of the likeliest
    tokens at its position; `prompt_logprobs` requests the same for the prompt. `grammar` constrains
    the completion; it is written in llguidance's Lark.
    """

    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None
    stop: Sequence[str]
    ignore_eos: bool
    stop_token_ids: Sequence[int] = ()
    min_tokens: int = 0  # stop conditions apply only after these
    n: int = 1
    top_k: int = 0  # 0: all tokens
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] | None = None
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    grammar: str | None = None
    skip_special_tokens: bool = True  # in the text only
    include_stop_str_in_output: bool = False  # in the text
    bad_words: Sequence[str] = ()
    allowed_token_ids: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's log probability, and the likeliest tokens at its position, `(token_id, logprob)`.

    `top` contains the token itself, even where it is less likely than the others. `rank` is the
    token's, from 1 for the likeliest.
    """

    token_id: int
    logprob: float
    top: Sequence[tuple[int, float]]
    rank: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class EngineOutput:
    """The tokens generated since the last output, for one of the `n` completions.

    `finish_reason`, and the `stop_string` that ended the completion if any, are set on its last
    output only. `first_token_s` is the time from submission to the first token.
    `num_cached_tokens` counts the prompt tokens that the prefix cache held. `prompt_logprobs` come
    with the first output; a prompt's first token has none.
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
    stop_string: str | None = None


class ToolParser(Protocol):
    """A parser of one model family's native tool-call format."""

    def build_reader(self, tools: Sequence[dict[str, Any]]) -> ContentParser:
        """Return a parser of one completion; `tools` are OpenAI's `tools`."""
        ...


class Engine(Protocol):
    """A language model that decodes many sequences at once."""

    @property
    def max_model_len(self) -> int:
        """The context in tokens: prompt and completion together."""
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
        cache_partition: str,
    ) -> AsyncGenerator[EngineOutput, None]:
        """Decode a prompt's completions: many outputs each if `stream`, else one with all text.

        `adapter` names the LoRA adapter to decode with. Prompts share prefixes in the cache only
        with those of the same `cache_partition`. Closing the iterator, or cancelling its
        consumer, aborts the sequences. Raises `server.errors.EngineUnavailable` when the engine
        dies or drops them.
        """
        ...

    def load_tool_parser(self, name: str) -> ToolParser:
        """Return a tool parser. Raises `CheckpointError` if there is none."""
        ...

    async def load_adapters(self) -> None:
        """Load the LoRA adapters. Raises `server.checkpoint.config.CheckpointError`."""
        ...

    @property
    def is_busy(self) -> bool:
        """Whether the engine works on a sequence. Any thread may ask."""
        ...

    @property
    def has_failed(self) -> bool:
        """Whether the engine can no longer generate."""
        ...

    async def wait_until_dead(self) -> str:
        """Return the reason once the engine can no longer generate or makes no steps."""
        ...

    def fail_all(self, error: ApiError) -> None:
        """End all completions, running and future: `generate` raises `error`."""
        ...

    def close(self) -> None:
        """End the engine and its processes."""
        ...
