"""Sampling and stop fields of a request body: OpenAI's and vLLM's."""

from typing import Annotated, Any, Final, LiteralString

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from server.protocol.text import quote_key
from server.protocol.wire import RequestBody

MAX_LOGIT_BIASES: Final = 4096
# vLLM's limit on the forms of these words, with and without a space in front.
MAX_BAD_WORDS: Final = 128
MAX_ALLOWED_TOKEN_IDS: Final = 65_536
MAX_PROMPT_LOGPROBS: Final = 20

StopString = Annotated[str, Field(min_length=1, max_length=1024)]
BadWord = Annotated[str, Field(min_length=1, max_length=256)]
StopStrings = Annotated[
    list[StopString],
    Field(max_length=4, fail_fast=True),
    BeforeValidator(
        lambda value: [value] if isinstance(value, str) else value,
        json_schema_input_type=str | list[str],
    ),
]
TokenId = Annotated[int, Field(ge=0, lt=2**31)]
Bias = Annotated[float, Field(ge=-100, le=100)]
TokenLimit = Annotated[
    Annotated[int, Field(ge=1)] | None,
    BeforeValidator(lambda value: None if _is_no_limit(value) else value),
]
Penalty = Annotated[float, Field(ge=-2, le=2)]

# OpenAI's limit too.
MAX_CHOICES = 128


def _is_no_limit(value: Any) -> bool:
    return type(value) is int and value == -1


def _check_logit_bias(value: Any) -> Any:
    """Stop at the first wrong entry: pydantic would build an error for each."""
    if not isinstance(value, dict):
        return value
    if len(value) > MAX_LOGIT_BIASES:
        raise PydanticCustomError("logit_bias", f"At most {MAX_LOGIT_BIASES} tokens may be biased")
    return {_parse_token_id(key): _check_bias(key, bias) for key, bias in value.items()}


def _parse_token_id(key: Any) -> int:
    token_id = key
    if isinstance(key, str) and len(key) <= 10 and key.isascii() and key.isdigit():
        token_id = int(key)
    if isinstance(token_id, int) and 0 <= token_id < 2**31:
        return token_id
    raise _build_entry_error(key, "Keys must be token ids")


def _check_bias(key: Any, bias: Any) -> float:
    is_number = isinstance(bias, int | float) and not isinstance(bias, bool)
    if is_number and -100 <= bias <= 100:
        return float(bias)
    raise _build_entry_error(key, "Biases must be numbers from -100 to 100")


def _build_entry_error(key: Any, reason: LiteralString) -> ValidationError:
    """Return an error at one entry."""
    error = PydanticCustomError("logit_bias", reason)
    return ValidationError.from_exception_data(
        "logit_bias", [{"type": error, "loc": (quote_key(str(key)),), "input": None}]
    )


LogitBias = Annotated[dict[TokenId, Bias], BeforeValidator(_check_logit_bias)]


class SamplingFields(RequestBody):
    """Sampling and stop fields that all APIs share."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    stop: StopStrings | None = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: LogitBias | None = None
    top_k: int | None = Field(None, ge=-1, lt=2**31, description="vLLM's; 0 and -1 take all")
    min_p: float | None = Field(None, ge=0, le=1, description="vLLM's")
    repetition_penalty: float | None = Field(None, gt=0, le=100, description="vLLM's")
    stop_token_ids: Annotated[list[TokenId], Field(max_length=1024, fail_fast=True)] | None = Field(
        None, description="vLLM's: tokens that end an answer"
    )
    ignore_eos: bool | None = Field(None, description="vLLM's: go on to the token limit")
    min_tokens: int | None = Field(None, ge=0, description="vLLM's: let nothing end it before")
    bad_words: Annotated[list[BadWord], Field(max_length=MAX_BAD_WORDS, fail_fast=True)] | None = (
        Field(None, description="vLLM's: texts that the answer must not hold")
    )
    allowed_token_ids: (
        Annotated[
            list[TokenId], Field(min_length=1, max_length=MAX_ALLOWED_TOKEN_IDS, fail_fast=True)
        ]
        | None
    ) = Field(None, description="vLLM's: the only tokens of the answer")
    include_stop_str_in_output: bool | None = Field(None, description="vLLM's")
    skip_special_tokens: bool | None = Field(
        None, description="vLLM's: false shows the names of special tokens"
    )
    truncate_prompt_tokens: int | None = Field(
        None, ge=-1, lt=2**63, description="vLLM's: keep that many last tokens; -1: what fits"
    )

    @property
    def stop_strings(self) -> list[str]:
        """The stop strings; none where the client sent null."""
        return self.stop or []
