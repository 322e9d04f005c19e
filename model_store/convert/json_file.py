"""JSON objects in files."""

import json
from pathlib import Path
from typing import Any

from model_store.errors import ConversionError

Json = dict[str, Any]


def read_json(file: Path, *, required: bool = True) -> Json:
    """Return the object in `file`; `{}` if it is missing and not `required`.

    Raises `ConversionError`.
    """
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        if not required:
            return {}
        raise ConversionError(f"{file.parent} has no {file.name}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConversionError(f"{file} cannot be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise ConversionError(f"{file} does not hold a JSON object")
    return content


def write_json(file: Path, content: Json) -> None:
    """Write an object, indented, with a line break at the end."""
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_count(config: Json, key: str, file: Path) -> int:
    """Return a positive integer setting. Raises `ConversionError` for any other value."""
    value = config.get(key)
    if not isinstance(value, int) or value < 1:
        raise ConversionError(f"{file}: {key} is {value!r}, not a positive whole number")
    return value
