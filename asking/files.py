"""Reading of text and JSON files with errors that name the line; atomic writing."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from asking.errors import InputError


class FileModel(BaseModel):
    """Base of records in files: unknown keys are ignored, numbers are accepted as ids."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)


def _check_id(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("an id is a text or a whole number")
    return value


# An id in a file, and an id as text. Other numbers are not ids: 1.5 would come back as "1.5".
RecordId = Annotated[int | str, BeforeValidator(_check_id)]
TextId = Annotated[str, BeforeValidator(_check_id)]
AnyModel = TypeVar("AnyModel", bound=BaseModel)


def read_json_lines(path: Path, model: type[AnyModel]) -> list[AnyModel]:
    """Read one record per line; blank lines are skipped. Raises `InputError`."""
    return [parse_line(path, line, number, model) for number, line in read_numbered_lines(path)]


def read_numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Return the lines that are not blank with their numbers, from 1. Raises `InputError`."""
    # Not splitlines(): it also breaks at U+2028, which JSON allows in strings.
    lines = enumerate(read_text(path).split("\n"), start=1)
    return ((number, line) for number, line in lines if line.strip())


def parse_line(path: Path, text: str, line: int, model: type[AnyModel]) -> AnyModel:
    """Parse one line of a JSON Lines file. Raises `InputError`."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise InputError(path, describe_validation_error(error), line) from None


def read_json(path: Path) -> Any:
    """Read a whole file as one JSON value. Raises `InputError`."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(path, f"not JSON: {error.msg}", error.lineno) from None
    except (ValueError, RecursionError) as error:  # too long a number; nested too deeply
        raise InputError(path, f"not JSON: {error}") from None


def read_text(path: Path) -> str:
    """Read UTF-8, with or without a byte order mark. Raises `InputError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(path, "not UTF-8 text") from None
    except OSError as error:
        raise InputError(path, error.strerror or "cannot be read") from None


def describe_validation_error(error: ValidationError) -> str:
    """Return the first validation error with its path in the record."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def write_atomically(path: Path, parts: Iterable[str]) -> None:
    """Write the parts to a temporary file, then replace `path` with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("w", encoding="utf-8") as file:
        file.writelines(parts)
    temporary.replace(path)
