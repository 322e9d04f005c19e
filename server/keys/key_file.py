"""Reads the file of API keys: TOML, with a table `[keys.NAME]` for each."""

import difflib
import os
import stat
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from server.keys.errors import KeysFileError
from server.keys.file_lines import find_line
from server.keys.key import ApiKey
from server.keys.name import check_name

TABLE: Final = "keys"
# Some 20,000 keys. A larger file would be parsed for seconds.
MAX_FILE_BYTES: Final = 8 * 1024 * 1024


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Return the keys of a file. Raises `KeysFileError`, or `OSError` where it cannot be read."""
    return parse_keys(_read_text(path), path)


def parse_keys(text: str, path: Path) -> tuple[ApiKey, ...]:
    """Return the keys of a file's text. Raises `KeysFileError`, which tells all faults."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise KeysFileError(path, [f" is no valid TOML: {error}"]) from None
    except RecursionError:
        raise KeysFileError(path, [" is nested too deeply"]) from None
    faults = [
        f": there is no '{name}' here, only tables [{TABLE}.NAME]"
        for name in content
        if name != TABLE
    ]
    tables = content.get(TABLE, {})
    if not isinstance(tables, dict):
        raise KeysFileError(path, [*faults, f": '{TABLE}' is no table"])
    keys: list[ApiKey] = []
    for name, fields in tables.items():
        try:
            keys.append(_build_key(name, fields))
        except ValidationError as error:
            faults += _describe(text, name, error)
        except ValueError as error:
            faults.append(_locate(text, name) + f": {error}")
    faults += _find_shared_hashes(text, keys)
    if faults:
        raise KeysFileError(path, faults)
    return tuple(keys)


def _read_text(path: Path) -> str:
    # A FIFO or a device would block the reader for good.
    if not stat.S_ISREG(path.stat().st_mode):
        raise KeysFileError(path, [" is no file"])
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise KeysFileError(path, [f" has more than {MAX_FILE_BYTES} bytes"])
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise KeysFileError(path, [f" is no UTF-8 at byte {error.start}"]) from None


def _build_key(name: str, fields: object) -> ApiKey:
    if not isinstance(fields, Mapping):
        raise ValueError(f"'{TABLE}.{name}' is no table")
    if "name" in fields:
        raise ValueError(f"the name stands in the heading [{TABLE}.NAME], not in a field")
    return ApiKey(name=check_name(name), **fields)


def _describe(text: str, name: str, error: ValidationError) -> Iterator[str]:
    """Yield each fault of a key with its place and, for a field that there is not, the nearest."""
    for fault in error.errors(include_url=False):
        field = str(fault["loc"][0])
        path = ".".join(map(str, fault["loc"]))
        yield f"{_locate(text, name, field)}: '{path}' {_explain(fault, field)}"


def _explain(fault: Mapping[str, Any], field: str) -> str:
    if fault["type"] == "missing":
        return "is missing"
    if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
        nearest = difflib.get_close_matches(field, ApiKey.model_fields, 1)
        return "is no field of a key" + (f": did you mean '{nearest[0]}'?" if nearest else "")
    if fault["type"] == "string_pattern_mismatch":
        return "must be 'sha256:' and 64 hexadecimal digits"
    return f"is wrong: {fault['msg'].lower()}"


def _locate(text: str, name: str, field: str | None = None) -> str:
    line = find_line(text, name, field)
    return (f", line {line}" if line else "") + f", key '{name}'"


def _find_shared_hashes(text: str, keys: Sequence[ApiKey]) -> Iterator[str]:
    """Yield a fault for each key whose secret is another's, too: whose is a request then?"""
    owners = Counter(hash_ for key in keys for hash_ in {key.hash, *_previous_hashes(key)})
    for key in keys:
        if any(owners[hash_] > 1 for hash_ in (key.hash, *_previous_hashes(key))):
            yield f"{_locate(text, key.name, 'hash')}: another key has the same hash"


def _previous_hashes(key: ApiKey) -> Iterator[str]:
    return (each.hash for each in key.previous)


def read_signature(path: Path) -> tuple[int, ...]:
    """Return what changes when the file does, also where a symbolic link leads to another.

    Raises `OSError`.
    """
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
