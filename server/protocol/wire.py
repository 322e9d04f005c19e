"""Base models of request bodies, and how validation errors become API errors."""

from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from server.errors import InvalidJson, InvalidValue, UnsupportedParameter
from server.protocol.body_limits import check_body_limits

# Lists in request types also have `fail_fast`: pydantic would build an error for every item.
# Names of models and functions, and ids that clients choose.
MAX_NAME_LENGTH: Final = 256
MAX_ID_LENGTH: Final = 4096
# Characters of a client's text in an error message or its `param`.
MAX_QUOTED_LENGTH: Final = 100

ModelName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
CallId = Annotated[str, Field(max_length=MAX_ID_LENGTH)]
# OpenAI's limits are between 64 and 512.
Identifier = Annotated[str, Field(max_length=512)]

# The type of an error that a validator of an object finds in one of its fields: the context's
# `field`, a path.
FIELD_ERROR: Final = "field_error"

# In a table of ignored values: every value is ignored.
ANY_VALUE: Final = (...,)

# Unsupported fields that clients send by default, for all endpoints. These values change nothing,
# so they are accepted and ignored. Any other value asks for something unsupported: an error.
IGNORED_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "metadata": ANY_VALUE,
    "prompt_cache_key": ANY_VALUE,
    "prompt_cache_retention": ANY_VALUE,
    "safety_identifier": ANY_VALUE,
    "service_tier": ANY_VALUE,
    "user": ANY_VALUE,
}

# Reasons of pydantic that speak of Python's types.
JSON_REASONS: Final = {
    "dict_type": "Input should be an object",
    "list_type": "Input should be a valid array",
    "model_type": "Input should be an object",
    "model_attributes_type": "Input should be an object",
}

Body = TypeVar("Body", bound="RequestBody")


class WireModel(BaseModel):
    """Base of request types: JSON types are not coerced, unknown keys are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class RequestBody(WireModel):
    """Base of request bodies: an unknown field is an error, unless its value is ignored."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


def get_type(value: Any) -> Any:
    """Return the `type` of a JSON object or of a model; None without one."""
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


def parse_body(
    kind: type[Body], body: bytes | bytearray, ignored_values: dict[str, tuple[Any, ...]]
) -> Body:
    """Parse and check a request body.

    Raises `InvalidJson`, `InvalidValue` (first offending field) or `UnsupportedParameter`.
    """
    content = parse_json(body)
    try:
        request = kind.model_validate(content)
    except ValidationError as error:
        raise build_validation_error(error) from None
    check_extra_fields(request, ignored_values)
    return request


def parse_json(body: bytes | bytearray) -> Any:
    """Parse a body. Raises `InvalidJson`, or `InvalidValue` beyond a limit.

    Validated as JSON, a value would be copied for each discriminator that looks at it.
    """
    check_body_limits(body)
    try:
        return from_json(body)
    except ValueError as error:
        is_deep = str(error).startswith("recursion limit exceeded")
        raise InvalidJson(
            "The body is nested too deeply." if is_deep else "The body is not valid JSON."
        ) from None


def check_extra_fields(request: RequestBody, ignored_values: dict[str, tuple[Any, ...]]) -> None:
    """Raise `UnsupportedParameter` for an unknown field whose value is not ignored."""
    all_ignored = IGNORED_VALUES | ignored_values
    for name, value in (request.model_extra or {}).items():
        _check_ignored_value(name, value, all_ignored)


def build_validation_error(error: ValidationError) -> InvalidValue:
    """Return the first of pydantic's errors as an API error that names its field."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = first["ctx"]["field"].split(".") if first["type"] == FIELD_ERROR else ()
    param = format_field_path((*first["loc"], *field))
    reason = JSON_REASONS.get(first["type"], cut(first["msg"], 2 * MAX_QUOTED_LENGTH))
    return InvalidValue(f"{reason} ('{param}')." if param else f"{reason}.", param)


def cut(text: str, max_length: int = MAX_QUOTED_LENGTH) -> str:
    """Return a client's text for a message, shortened to `max_length` characters."""
    return text if len(text) <= max_length else text[: max_length - 1] + "…"


def format_field_path(location: tuple[int | str, ...]) -> str | None:
    """Format pydantic's error location as a path, e.g. `messages[0].content[1].type`.

    Names of union branches start with "#", to distinguish them from field names.
    """
    path = ""
    if location[-1:] == ("[key]",):  # a dictionary's key, which is not a field's name
        location = location[:-2]
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not step.startswith("#") and len(step) <= MAX_NAME_LENGTH and step.isidentifier():
            path += f".{step}" if path else step
    return path or None


def _check_ignored_value(name: str, value: Any, ignored_values: dict[str, tuple[Any, ...]]) -> None:
    ignored = ignored_values.get(name)
    if ignored is None:
        raise UnsupportedParameter(f"Unknown or unsupported parameter: '{cut(name)}'.", cut(name))
    if value is None or ignored == ANY_VALUE:
        return
    if not any(_is_same_json(value, each) for each in ignored):
        raise UnsupportedParameter(f"This value of '{name}' is not supported.", name)


def _is_same_json(value: Any, other: Any) -> bool:
    """Whether two JSON values are equal; in JSON, true is not 1."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
