"""The request body of `POST /v1/completions`."""

from typing import Annotated, Any, Final, cast

from pydantic import Discriminator, Field, Tag

from server.errors import InvalidValue, UnsupportedParameter
from server.protocol.generation_fields import GenerationFields, check_generation_fields
from server.protocol.policy import STRICT, RequestPolicy
from server.protocol.sampling import MAX_CHOICES, TokenId
from server.protocol.wire import parse_body

# OpenAI's default.
MAX_TOKENS: Final = 16

# Ids of one prompt; no context is longer.
MAX_TOKEN_IDS: Final = 262_144
# Of `leading_text`, in characters or token ids.
MAX_LEADING_LENGTH: Final = 512
TokenIds = Annotated[list[TokenId], Field(min_length=1, max_length=MAX_TOKEN_IDS, fail_fast=True)]


def _select_prompt_branch(value: Any) -> str | None:
    if isinstance(value, str):
        return "#text"
    first = value[0] if isinstance(value, list) and value else None
    for kind, branch in ((str, "#texts"), (int, "#token_ids"), (list, "#token_id_lists")):
        if isinstance(first, kind):
            return branch
    return None


PromptInput = Annotated[
    Annotated[str, Tag("#text")]
    | Annotated[
        list[str], Field(min_length=1, max_length=MAX_CHOICES, fail_fast=True), Tag("#texts")
    ]
    | Annotated[TokenIds, Tag("#token_ids")]
    | Annotated[
        list[TokenIds],
        Field(min_length=1, max_length=MAX_CHOICES, fail_fast=True),
        Tag("#token_id_lists"),
    ],
    Discriminator(
        _select_prompt_branch,
        custom_error_type="prompt",
        custom_error_message="Must be a string, token ids, or a list of either, and not empty",
    ),
]


class CompletionRequest(GenerationFields):
    """A text completion request as in OpenAI's API reference, with vLLM's additions.

    https://platform.openai.com/docs/api-reference/completions/create
    """

    prompt: PromptInput
    max_tokens: int | None = Field(
        None,
        ge=-1,
        description=f"default: {MAX_TOKENS}; -1: all that fit; 0 with 'echo' scores the prompt",
    )
    add_special_tokens: bool = Field(
        True, description="vLLM's: begin texts with the BOS, if the model has one"
    )
    best_of: int | None = Field(None, ge=1, le=MAX_CHOICES, description="only the value of 'n'")
    echo: bool | None = Field(None, description="begin each answer with its prompt")
    logprobs: int | None = Field(
        None, ge=0, le=20, description="OpenAI's limit is 5; so many alternatives to each token"
    )

    @property
    def prompts(self) -> list[tuple[str | list[int], str]]:
        """Each prompt as text or token ids, with the path of its field."""
        if isinstance(self.prompt, str):
            return [(self.prompt, "prompt")]
        if isinstance(self.prompt[0], int):
            return [(self.prompt, "prompt")]
        prompts = cast(list[str | list[int]], self.prompt)
        return [(each, f"prompt[{index}]") for index, each in enumerate(prompts)]

    @property
    def leading_text(self) -> str:
        """The first prompt's beginning: a prompt that grows by each answer keeps it."""
        beginning = self.prompts[0][0][:MAX_LEADING_LENGTH]
        return beginning if isinstance(beginning, str) else repr(beginning)

    @property
    def num_sequences(self) -> int:
        """`n` sequences for each prompt."""
        return (self.n or 1) * len(self.prompts)

    @property
    def token_limit(self) -> int:
        """The maximum number of tokens to generate for each choice."""
        if self.max_tokens == -1:
            return MAX_TOKEN_IDS
        return MAX_TOKENS if self.max_tokens is None else self.max_tokens

    @property
    def is_scoring_only(self) -> bool:
        """Whether to score the prompt and generate nothing."""
        return self.token_limit == 0


def parse_completion_request(
    body: bytes | bytearray, policy: RequestPolicy = STRICT
) -> CompletionRequest:
    """Parse and check a request body.

    Raises `InvalidJson`, `InvalidValue` (first offending field) or `UnsupportedParameter`.
    """
    request = parse_body(CompletionRequest, body, policy)
    check_generation_fields(request, request.token_limit)
    n = request.n or 1
    if request.best_of not in (None, n):
        raise UnsupportedParameter("'best_of' must equal 'n': all answers are returned.", "best_of")
    if request.is_scoring_only and not request.echo:
        raise InvalidValue("'max_tokens' may only be 0 with 'echo'.", "max_tokens")
    num_choices = n * len(request.prompts)
    if num_choices > MAX_CHOICES:
        raise InvalidValue(
            f"'n' answers to each prompt are {num_choices} in all; the limit is {MAX_CHOICES}.", "n"
        )
    return request
