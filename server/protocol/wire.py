"""Base models of request bodies, and how validation errors become API errors."""

from collections.abc import Mapping
from functools import cache
from itertools import islice
from types import NoneType
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from server.errors import InvalidValue
from server.protocol.body_limits import check_body_limits
from server.protocol.extra_fields import check_extra_fields
from server.protocol.json_text import parse_json_text
from server.protocol.policy import STRICT, RequestPolicy
from server.protocol.suggestions import find_near
from server.protocol.text import MAX_QUOTED_LENGTH, cut

# Lists in request types also have `fail_fast`: pydantic would build an error for every item.
# Names of models and functions, and ids that clients choose.
MAX_NAME_LENGTH: Final = 256
MAX_ID_LENGTH: Final = 4096

ModelName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
CallId = Annotated[str, Field(max_length=MAX_ID_LENGTH)]
# OpenAI's limits are between 64 and 512.
Identifier = Annotated[str, Field(max_length=512)]

# Reasons of pydantic that speak of Python's types.
JSON_REASONS: Final = {
    "dict_type": "Input should be an object",
    "list_type": "Input should be a valid array",
    "model_type": "Input should be an object",
    "model_attributes_type": "Input should be an object",
}

MAX_EXACT_INTEGER: Final = 2**53

# Of an object that lacks a field: those that may be the field, misspelt.
MAX_COMPARED_FIELDS: Final = 64

# Names of union branches of content: see `format_field_path`.
STRING, PARTS = "#string", "#parts"

Body = TypeVar("Body", bound="RequestBody")


class WireModel(BaseModel):
    """Base of request types: JSON types are not coerced, and null means absent.

    To JSON, 16.0 is an integer; some languages write integers so. Unknown fields are kept until
    `check_extra_fields` takes them. Numbers are finite: JSON has no others, and 1e999 is none.
    """

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _normalize(cls, value: Any) -> Any:
        """Drop the nulls of the model's own fields, and read its integers."""
        if not isinstance(value, dict) or not any(map(_is_null_or_float, value.values())):
            return value
        names = _collect_names(cls)
        return {
            key: _read_integer(each) if type(each) is float and names.get(key) else each
            for key, each in value.items()
            if each is not None or key not in names
        }


def _is_null_or_float(value: Any) -> bool:
    return value is None or type(value) is float


def _read_integer(number: float) -> float:
    """Return a number as an integer if it is one that a float holds exactly."""
    return int(number) if number.is_integer() and abs(number) <= MAX_EXACT_INTEGER else number


@cache
def _collect_names(kind: type[BaseModel]) -> Mapping[str, bool]:
    """Return the names of a model's fields in JSON, and whether each is an integer."""
    return {
        field.alias or name: _is_integer(field.annotation)
        for name, field in kind.model_fields.items()
    }


def _is_integer(annotation: Any) -> bool:
    """Whether an annotation allows an integer, alone or beside None."""
    if get_origin(annotation) is Annotated:
        return _is_integer(get_args(annotation)[0])
    kinds = set(get_args(annotation)) - {NoneType}
    return annotation is int or (len(kinds) == 1 and _is_integer(kinds.pop()))


class RequestBody(WireModel):
    """Base of request bodies."""

    _ignored_parameters: tuple[str, ...] = PrivateAttr(())

    @property
    def ignored_parameters(self) -> tuple[str, ...]:
        """The paths of unknown fields, which were ignored."""
        return self._ignored_parameters

    def take_extra_fields(self, policy: RequestPolicy) -> None:
        """Check and forget unknown fields. Raises `UnsupportedParameter`."""
        self._ignored_parameters = check_extra_fields(self, ignore_unknown=policy.ignore_unknown)


def get_type(value: Any) -> Any:
    """Return the `type` of a JSON object or of a model; None without one."""
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


def select_type_branch(value: Any) -> str | None:
    """Return the union branch that the `type` of an object names; None without one."""
    kind = get_type(value)
    return f"#{kind}" if isinstance(kind, str) else None


def select_content_branch(value: Any) -> str | None:
    """Return the union branch of content: a string or a list of parts."""
    return STRING if isinstance(value, str) else PARTS if isinstance(value, list) else None


def parse_body(kind: type[Body], body: bytes | bytearray, policy: RequestPolicy = STRICT) -> Body:
    """Parse and check a request body.

    Raises `InvalidJson`, `InvalidValue` (first offending field) or `UnsupportedParameter`.
    """
    content = parse_json(body)
    name_model(content, policy)
    try:
        request = kind.model_validate(content)
    except ValidationError as error:
        raise build_validation_error(error) from None
    request.take_extra_fields(policy)
    return request


def name_model(content: Any, policy: RequestPolicy) -> None:
    """Name the default model in a parsed body that names none."""
    if isinstance(content, dict) and content.get("model") is None and policy.default_model:
        content["model"] = policy.default_model


def parse_json(body: bytes | bytearray) -> Any:
    """Parse a body. Raises `InvalidJson`, or `InvalidValue` beyond a limit.

    Validated as JSON, a value would be copied for each discriminator that looks at it.
    """
    check_body_limits(body)
    return parse_json_text(body)


def build_validation_error(error: ValidationError) -> InvalidValue:
    """Return the first of pydantic's errors as an API error that names its field."""
    first = error.errors(include_url=False)[0]
    # A check of several fields names the one at fault, as a path, in the context.
    field = first.get("ctx", {}).get("field")
    param = format_field_path((*first["loc"], *field.split(".")) if field else first["loc"])
    reason = JSON_REASONS.get(first["type"], cut(first["msg"], 2 * MAX_QUOTED_LENGTH))
    place = f" ('{param}')" if param else ""
    return InvalidValue(f"{reason}{place}.{_ask_about_spelling(first)}", param)


def _ask_about_spelling(error: ErrorDetails) -> str:
    """Name the field that was probably meant to be the missing one, if one is missing."""
    given, name = error["input"], error["loc"][-1:]
    if error["type"] != "missing" or not isinstance(given, dict) or not name:
        return ""
    near = find_near(str(name[0]), islice(given, MAX_COMPARED_FIELDS))
    return f" Is '{near}' misspelt?" if near else ""


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
        elif path and step.startswith("['") and len(step) <= MAX_NAME_LENGTH:  # of `quote_key`
            path += step
        elif not step.startswith("#") and len(step) <= MAX_NAME_LENGTH and step.isidentifier():
            path += f".{step}" if path else step
    return path or None
