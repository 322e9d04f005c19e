"""Where an image part holds its image: the spellings of the APIs that clients were written for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydantic_core import PydanticCustomError

# How much of the image the model sees: with `low` the base view of an anyres model, else all tiles.
Detail = Literal["auto", "low", "high", "original"]

IMAGE_TYPES: Final = ("image_url", "input_image", "image")

# OpenAI's chat and Responses APIs have `image_url`, Hugging Face's chat templates `image`, `url`
# and `base64`, MCP `data` and Anthropic `source`. The first that is not null counts.
FIELDS: Final = ("image_url", "image", "url", "base64", "data", "source")
# Within an object.
NESTED_FIELDS: Final = ("url", "data")
# Fields that may hold base64 without `data:` in front.
BASE64_FIELDS: Final = frozenset({"image", "base64", "data"})

# Fields that say what an image is, or how to take it.
DESCRIBING_FIELDS: Final = ("type", "detail", "mimeType", "mime_type", "media_type")

# Base64 has no colon.
_SCHEME: Final = re.compile(r"\s{0,8}[A-Za-z][A-Za-z0-9+.-]{0,15}:")


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An image part's URL, its `detail` and the path of the field that holds the image."""

    url: str
    detail: Detail | None
    field: str


def find_image_source(part: dict[str, Any]) -> ImageSource:
    """Return the source of an image part. Raises `PydanticCustomError` if it has none."""
    field, value = next(_iterate_values(part), (None, None))
    if field is None:
        raise _build_missing_error(part)
    if not (isinstance(value, str) and value):
        raise PydanticCustomError(
            "image_source", "Input should be a URL, as a string", {"field": field}
        )
    is_base64 = field.rpartition(".")[2] in BASE64_FIELDS and not _SCHEME.match(value)
    return ImageSource(f"data:;base64,{value}" if is_base64 else value, _find_detail(part), field)


def find_extra_fields(part: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an image part, or of its `image_url`, that no API has."""
    known = {*FIELDS, *DESCRIBING_FIELDS}
    return {name: value for name, value in part.items() if name not in known and value is not None}


def _iterate_values(part: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in FIELDS:
        value = part.get(field)
        if isinstance(value, dict):
            for name in NESTED_FIELDS:
                if value.get(name) is not None:
                    yield f"{field}.{name}", value[name]
        elif value is not None:
            yield field, value


def _find_detail(part: dict[str, Any]) -> Detail | None:
    image_url = part.get("image_url")
    field, detail = "detail", part.get("detail")
    if isinstance(image_url, dict) and image_url.get("detail") is not None:
        field, detail = "image_url.detail", image_url["detail"]
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
