"""Fields that chat and text completion requests share besides sampling."""

from pydantic import Field

from server.errors import InvalidValue
from server.protocol.formats import ResponseFormat, StructuredOutputs, TextFormat
from server.protocol.sampling import SamplingFields
from server.protocol.wire import ModelName, WireModel


class StreamOptions(WireModel):
    """`stream_options`; unknown keys are ignored. `continuous_usage_stats` is vLLM's."""

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

    @property
    def num_images(self) -> int:
        """The number of images in the request."""
        return 0

    @property
    def num_sequences(self) -> int:
        """The number of sequences that the engine decodes for the request."""
        return self.n or 1

    def drop_images(self) -> None:
        """Forget image data, which is of no use once the images are encoded."""

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
    if request.structured_outputs is None:
        return
    if request.response_format is not None and not isinstance(request.response_format, TextFormat):
        raise InvalidValue(
            "'structured_outputs' cannot be combined with 'response_format'.", "structured_outputs"
        )
