"""Reads files, with errors that name the file and the line; writes files, whole or not at all."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from asking.errors import InputError


class FileModel(BaseModel):
    """Base of records in files: keys unknown to us are ignored, numbers may serve as ids."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)


AnyModel = TypeVar("AnyModel", bound=BaseModel)


def read_json_lines(path: Path, model: type[AnyModel]) -> list[AnyModel]:
    """Read one record a line; blank lines are skipped. Raises `InputError`."""
    return [checked(path, line, number, model) for number, line in numbered_lines(path)]


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank, counted from 1. Raises `InputError`."""
    # Not splitlines(): that would also break at U+2028, which JSON allows inside of strings.
    lines = enumerate(read_text(path).split("\n"), start=1)
    return ((number, line) for number, line in lines if line.strip())


def checked(path: Path, text: str, line: int, model: type[AnyModel]) -> AnyModel:
    """Parse one line of a JSON Lines file. Raises `InputError`."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise InputError(path, explain(error), line) from None


def read_json(path: Path) -> Any:
    """Read a whole file as one JSON value. Raises `InputError`."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(path, f"not JSON: {error.msg}", error.lineno) from None


def read_text(path: Path) -> str:
    """Read UTF-8, with or without a byte order mark. Raises `InputError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(path, "not UTF-8 text") from None
    except OSError as error:
        raise InputError(path, error.strerror or "cannot be read") from None


def explain(error: ValidationError) -> str:
    """The first thing that is wrong, with the path to it inside of the record."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def write_whole(path: Path, parts: Iterable[str]) -> None:
    """Write a file of these parts, replacing an older one at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.part")
    with fresh.open("w", encoding="utf-8") as file:
        file.writelines(parts)
    fresh.replace(path)
