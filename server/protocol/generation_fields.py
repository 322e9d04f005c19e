"""Fields that chat and text completion requests share besides sampling."""

from collections.abc import Sequence
from functools import cached_property
from typing import Final

from pydantic import Field

from server.errors import InvalidValue
from server.protocol.formats import (
    GrammarChoices,
    GrammarText,
    ResponseFormat,
    StructuredOutputs,
    TextFormat,
)
from server.protocol.json_size import JsonObject
from server.protocol.sampling import MAX_PROMPT_LOGPROBS, SamplingFields
from server.protocol.video import VideoIoKwargs
from server.protocol.wire import ModelName, WireModel

# vLLM's older fields, `guided_json` and so on.
GUIDED_KEYS: Final = ("json", "regex", "choice", "grammar")


class StreamOptions(WireModel):
    """`stream_options`; `continuous_usage_stats` is vLLM's."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class GenerationFields(SamplingFields):
    """Fields of streaming and of structured outputs, and the model."""

    model: ModelName
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = Field(
        None, description="vLLM's: constrains the answer"
    )
    guided_json: JsonObject | GrammarText | None = Field(None, description="vLLM's older form")
    guided_regex: GrammarText | None = Field(None, description="vLLM's older form")
    guided_choice: GrammarChoices | None = Field(None, description="vLLM's older form")
    guided_grammar: GrammarText | None = Field(None, description="vLLM's older form")
    prompt_logprobs: int | None = Field(
        None, ge=0, le=MAX_PROMPT_LOGPROBS, description="vLLM's: alternatives to prompt tokens"
    )
    return_token_ids: bool | None = Field(None, description="vLLM's: of prompt and answers")
    return_tokens_as_token_ids: bool | None = Field(
        None, description="vLLM's: write tokens of log probabilities as `token_id:N`"
    )

    @cached_property
    def constraint(self) -> StructuredOutputs | None:
        """The constraint of `structured_outputs`, or of the one older field that is set."""
        return self.structured_outputs or self._read_guided_fields()

    def name_constraint(self, key: str) -> str:
        """Return the field that holds the constraint `key`."""
        if self.structured_outputs is None:
            return f"guided_{key}"
        return f"structured_outputs.{key}"

    def _read_guided_fields(self) -> StructuredOutputs | None:
        values = {key: getattr(self, f"guided_{key}") for key in GUIDED_KEYS}
        values = {key: value for key, value in values.items() if value is not None}
        return StructuredOutputs.model_validate(values) if values else None

    @property
    def num_images(self) -> int:
        """The number of images in the request."""
        return 0

    @property
    def video_urls(self) -> Sequence[str]:
        """The URLs of the videos in the request."""
        return ()

    @property
    def video_options(self) -> VideoIoKwargs | None:
        """How many frames are taken of videos, if the request says it."""
        return None

    @property
    def leading_text(self) -> str:
        """Text that the prompt begins with, and that later requests with the same beginning share.

        It has a bounded length, and leaves images out.
        """
        return ""

    @property
    def token_limit(self) -> int | None:
        """The maximum number of tokens to generate for each choice, None for as many as fit."""
        return None

    @property
    def num_sequences(self) -> int:
        """The number of sequences that the engine decodes for the request."""
        return self.n or 1

    @property
    def include_usage(self) -> bool:
        """Whether a stream's last chunk has the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def continuous_usage(self) -> bool:
        """Whether every chunk of a stream has the usage so far."""
        options = self.stream_options
        return bool(options and options.include_usage and options.continuous_usage_stats)


def check_generation_fields(request: GenerationFields, token_limit: int | None) -> None:
    """Raise `InvalidValue` if fields contradict each other."""
    if request.stream_options is not None and not request.stream:
        raise InvalidValue(
            "'stream_options' is only allowed when 'stream' is true.", "stream_options"
        )
    if request.min_tokens and token_limit is not None and request.min_tokens > token_limit:
        raise InvalidValue("'min_tokens' must not exceed the token limit.", "min_tokens")
    if request.stream and request.prompt_logprobs is not None:
        raise InvalidValue(
            "'prompt_logprobs' is not available when 'stream' is true.", "prompt_logprobs"
        )
    _check_constraints(request)


def _check_constraints(request: GenerationFields) -> None:
    """Check that at most one field constrains the answer."""
    fields = ("structured_outputs", *(f"guided_{key}" for key in GUIDED_KEYS))
    constraints = [name for name in fields if getattr(request, name) is not None]
    if request.response_format is not None and not isinstance(request.response_format, TextFormat):
        constraints.append("response_format")
    if len(constraints) > 1:
        first, second = constraints[:2]
        raise InvalidValue(f"'{first}' cannot be combined with '{second}'.", first)
    if constraints:
        check_no_token_mask(request)


def check_no_token_mask(request: SamplingFields) -> None:
    """Raise `InvalidValue` for fields that could leave a grammar without any token."""
    for name in ("bad_words", "allowed_token_ids"):
        if getattr(request, name):
            raise InvalidValue(
                f"'{name}' cannot be combined with tools or structured outputs.", name
            )
