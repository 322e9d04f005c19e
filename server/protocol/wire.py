"""What all request bodies share: how they are parsed and how a fault in one is told."""

from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from server.errors import InvalidJson, InvalidValue, UnsupportedParameter

# In a table of harmless values: every value is.
ANY: Final = (...,)

# Fields of any endpoint that clients send by habit. With these values they change nothing, so they
# are accepted; with any other value they ask for something this server would not do, which is an
# error.
IGNORED_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "metadata": ANY,
    "prompt_cache_key": ANY,
    "prompt_cache_retention": ANY,
    "safety_identifier": ANY,
    "service_tier": ANY,
    "user": ANY,
}

Body = TypeVar("Body", bound="RequestBody")


class WireModel(BaseModel):
    """Base of request types: JSON types are taken literally, keys unknown to us are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class RequestBody(WireModel):
    """Base of whole bodies: a field unknown to us is an error, unless its value is harmless."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


def get_type(value: Any) -> Any:
    """Return the `type` of a JSON object, or of a model made of one; None where there is none."""
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


def parse_body(kind: type[Body], body: bytes, harmless: dict[str, tuple[Any, ...]]) -> Body:
    """Parse and check a request body.

    Raises `InvalidJson`, `InvalidValue` (first offending field) or `UnsupportedParameter`.
    """
    try:
        request = kind.model_validate_json(body)
    except ValidationError as error:
        raise build_validation_error(error) from None
    check_extra_fields(request, harmless)
    return request


def check_extra_fields(request: RequestBody, harmless: dict[str, tuple[Any, ...]]) -> None:
    """Raise `UnsupportedParameter` where a field unknown to us asks for something."""
    allowed = IGNORED_VALUES | harmless
    for name, value in (request.model_extra or {}).items():
        _check_harmless(name, value, allowed)


def build_validation_error(error: ValidationError) -> InvalidJson | InvalidValue:
    """Return the first fault that pydantic found, naming its field."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return InvalidJson("The body is not valid JSON.")
    param = format_field_path(first["loc"])
    reason = first["msg"]
    return InvalidValue(f"{reason} ('{param}')." if param else f"{reason}.", param)


def format_field_path(location: tuple[int | str, ...]) -> str | None:
    """Write pydantic's error location as a path, e.g. `messages[0].content[1].type`.

    Names of union branches begin with "#", which tells them from field names.
    """
    path = ""
    if location[-1:] == ("[key]",):  # a dictionary's key, which the client made up
        location = location[:-2]
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not step.startswith("#") and step.isidentifier():
            path += f".{step}" if path else step
    return path or None


def _check_harmless(name: str, value: Any, harmless: dict[str, tuple[Any, ...]]) -> None:
    allowed = harmless.get(name)
    if allowed is None:
        raise UnsupportedParameter(f"Unknown or unsupported parameter: '{name}'.", name)
    if value is not None and allowed != ANY and not any(_same(value, a) for a in allowed):
        raise UnsupportedParameter(f"This value of '{name}' is not supported.", name)


def _same(value: Any, allowed: Any) -> bool:
    """Compare as JSON does: there, true is not 1."""
    return bool(value == allowed) and isinstance(value, bool) == isinstance(allowed, bool)
