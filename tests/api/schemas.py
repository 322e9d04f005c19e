"""Holds answers against OpenAI's own types, more strictly than OpenAI's client does.

The client's models are generated from OpenAI's OpenAPI document. What they say less clearly than
the document is read off them where that is possible: required fields come first, so that a nullable
field before a plainly required one is required, too. Whether any other field may be null they do
not say: `NULLABLE` does, by the document.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from openai.pagination import SyncPage
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.shared import ErrorObject
from pydantic import BaseModel, TypeAdapter

KINDS: Final[dict[str, Any]] = {
    "chat.completion": ChatCompletion,
    "chat.completion.chunk": ChatCompletionChunk,
    "text_completion": Completion,
    "response": Response,
    "response.event": ResponseStreamEvent,
    "model": Model,
    "list": SyncPage[Model],
    "error": ErrorObject,
}

# Fields that may be left out and, where they are there, may be null.
NULLABLE: Final = {
    "ChatCompletion": {"service_tier"},
    "ChatCompletionChunk": {"service_tier", "usage"},
    "ChatCompletionMessage": {"audio"},
    "Choice": {"finish_reason", "logprobs"},
    "ChoiceDelta": {"content", "refusal"},
    "ChoiceLogprobs": {"content", "refusal"},
    "FunctionTool": {"description", "parameters", "strict"},
    "Reasoning": {"effort", "generate_summary", "summary"},
    "Response": {
        *("background", "completed_at", "conversation", "max_output_tokens", "max_tool_calls"),
        *("previous_response_id", "prompt", "prompt_cache_retention", "reasoning"),
        *("service_tier", "top_logprobs", "top_p", "truncation"),
    },
    "ResponseFormatTextJSONSchemaConfig": {"strict"},
    "ResponseTextConfig": {"verbosity"},
}

# Required and nullable fields that no plainly required field comes after.
REQUIRED: Final = {"ChoiceLogprobs": {"content", "refusal"}, "Response": {"top_p"}}

# Required by the document of today, but of no meaning outside of OpenAI's service.
OMITTED: Final = {"Response": {"access_programs"}}

# What this server says beyond OpenAI's document, by class. OpenAI's API says `store`, too, and its
# client for Node requires the `name`.
ADDITIONS: Final[dict[str, set[str]]] = {
    "InputTokensDetails": {"image_tokens"},
    "Model": {
        *("max_model_len", "parent", "permission", "root"),  # vLLM's
        *("type", "state", "capabilities", "max_context_length"),  # LM Studio's
        *("meta", "modalities", "architecture", "context_length"),  # llama.cpp's, OpenRouter's
    },
    "PromptTokensDetails": {"video_tokens"},
    "Response": {"store"},
    "ResponseFunctionCallArgumentsDoneEvent": {"name"},
    "SyncPage[Model]": {"object"},
}


@cache
def required_fields(kind: type[BaseModel]) -> frozenset[str]:
    """Return the fields that OpenAI's document requires of an object."""
    fields = kind.model_fields
    last = max((at for at, name in enumerate(fields) if fields[name].is_required()), default=-1)
    first = {*[*fields][: last + 1]} | REQUIRED.get(kind.__name__, set())
    return frozenset(first - OMITTED.get(kind.__name__, set()))


def field_faults(value: BaseModel, path: str) -> Iterator[str]:
    """Yield what is wrong with an object's own fields."""
    kind = type(value)
    for name in sorted(required_fields(kind) - value.model_fields_set):
        yield f"{path}.{name} is missing"
    for name in sorted(set(value.model_extra or {}) - ADDITIONS.get(kind.__name__, set())):
        yield f"{path}.{name} is not in OpenAI's {kind.__name__}"
    may_be_null = required_fields(kind) | NULLABLE.get(kind.__name__, set())
    for name in sorted(value.model_fields_set & set(kind.model_fields) - may_be_null):
        if getattr(value, name) is None:
            yield f"{path}.{name} is null"


def faults(value: Any, path: str) -> Iterator[str]:
    """Yield what is wrong with a value and all that it holds."""
    if isinstance(value, BaseModel):
        yield from field_faults(value, path)
        for name in type(value).model_fields:
            yield from faults(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from faults(item, f"{path}[{at}]")


@cache
def adapter(kind: str) -> TypeAdapter[Any]:
    """Return what validates a kind of object."""
    return TypeAdapter(KINDS[kind])


def check(kind: str, payload: Any) -> Any:
    """Validate a payload, parsed from JSON; returns OpenAI's object.

    Fails on a missing field, a wrong type (nothing is converted), a field that OpenAI does not
    know and a null that OpenAI would not send.
    """
    value = adapter(kind).validate_json(json.dumps(payload), strict=True)
    found = [*faults(value, kind)]
    assert not found, "\n".join(found)
    return value
