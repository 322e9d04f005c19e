"""Where an image part holds its image: the spellings of the APIs that clients were written for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydantic_core import PydanticCustomError

# How much of the image the model sees: with `low` the base view of an anyres model, else all tiles.
Detail = Literal["auto", "low", "high", "original"]

IMAGE_TYPES: Final = ("image_url", "input_image", "image")

# OpenAI's chat and Responses APIs have `image_url`, Hugging Face's chat templates `image`, `url`
# and `base64`, MCP `data` and Anthropic `source`. A part has one that is not null.
FIELDS: Final = ("image_url", "image", "url", "base64", "data", "source")
# Within an object.
NESTED_FIELDS: Final = ("url", "data")
# Fields that may hold base64 without `data:` in front.
BASE64_FIELDS: Final = frozenset({"image", "base64", "data"})

# Fields that say what an image is, or how to take it.
DESCRIBING_FIELDS: Final = (
    "type",
    "detail",
    "mimeType",
    "mime_type",
    "media_type",
    "mediaType",
    "source_type",
    "extras",
)

# Base64 has no colon.
_SCHEME: Final = re.compile(r"\s{0,8}[A-Za-z][A-Za-z0-9+.-]{0,15}:")


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An image part's URL, its `detail` and the path of the field that holds the image.

    `extra_fields` are those that no API has, by their paths within the part.
    """

    url: str
    detail: Detail | None
    field: str
    extra_fields: dict[str, Any]


def find_image_source(part: dict[str, Any]) -> ImageSource:
    """Return the source of an image part. Raises `PydanticCustomError` if it has none, or two."""
    name = _find_only(part, FIELDS)
    holder = part.get(name)
    nested = holder if isinstance(holder, dict) else {}
    nested_name = _find_only(nested, NESTED_FIELDS, f"{name}.")
    value = nested.get(nested_name) if nested else holder
    if value is None:
        raise _build_missing_error(part)
    field = f"{name}.{nested_name}" if nested else name
    return ImageSource(
        _read_url(value, field),
        _find_detail(part, nested, f"{name}."),
        field,
        _find_extra_fields(part, FIELDS) | _find_extra_fields(nested, NESTED_FIELDS, f"{name}."),
    )


def _find_only(holder: dict[str, Any], names: Sequence[str], path: str = "") -> str:
    """Return the one name with a value, an empty string if there is none."""
    first, *others = [name for name in names if not _is_empty(holder.get(name))] or [""]
    if others:
        message = f"An image part has one image: send this or '{path}{first}', not both"
        raise PydanticCustomError("image_source", message, {"field": path + others[0]})
    return first


def _is_empty(value: Any) -> bool:
    """Whether a value is null, or an object of nulls."""
    return value is None or (
        isinstance(value, dict) and all(each is None for each in value.values())
    )


def _read_url(value: Any, field: str) -> str:
    if not (isinstance(value, str) and value):
        raise PydanticCustomError(
            "image_source", "Input should be a URL, as a string", {"field": field}
        )
    is_base64 = field.rpartition(".")[2] in BASE64_FIELDS and not _SCHEME.match(value)
    return f"data:;base64,{value}" if is_base64 else value


def _find_extra_fields(
    holder: dict[str, Any], names: Sequence[str], path: str = ""
) -> dict[str, Any]:
    known = {*names, *DESCRIBING_FIELDS}
    extras = holder.keys() - known
    return {path + name: value for name, value in holder.items() if name in extras}


def _find_detail(part: dict[str, Any], nested: dict[str, Any], path: str) -> Detail | None:
    field, detail = "detail", part.get("detail")
    if nested.get("detail") is not None:
        field, detail = f"{path}detail", nested["detail"]
    if detail is None or detail in get_args(Detail):
        return detail
    message = f"Input should be one of {', '.join(get_args(Detail))}"
    raise PydanticCustomError("image_source", message, {"field": field})


def _build_missing_error(part: dict[str, Any]) -> PydanticCustomError:
    if part.get("file_id") is not None:
        message = "This server keeps no files: send an image_url"
        return PydanticCustomError("image_source", message, {"field": "file_id"})
    field = "image_url.url" if isinstance(part.get("image_url"), dict) else "image_url"
    return PydanticCustomError("image_source", "An image part needs a URL", {"field": field})
