"""Reads the file of API keys: TOML, with a table `[keys.NAME]` for each."""

import difflib
import os
import stat
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from server.keys.errors import KeysFileError
from server.keys.file_lines import FileLines
from server.keys.key import ApiKey
from server.keys.name import check_name, find_nested_names

TABLE: Final = "keys"
# Each key has its own metric series; more keys would slow every scrape and reload.
MAX_KEYS: Final = 2000
MAX_FILE_BYTES: Final = 2 * 1024 * 1024
# Most faults to report: a file may have one for each of its bytes.
MAX_REPORTED_FAULTS: Final = 20

Fault = Callable[[], str]


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Return the keys of a file. Raises `KeysFileError`, or `OSError` where it cannot be read."""
    return parse_keys(read_text(path), path)


def read_text(path: Path) -> str:
    """Return a file's text. Raises `KeysFileError`, or `OSError`."""
    try:
        data = _read_bytes(path)
    except FileNotFoundError:
        remedy = f"put it there, or make one by `llava-server keys new NAME --keys-file {path}`"
        raise KeysFileError(path, [f" does not exist: {remedy}"]) from None
    except PermissionError:
        remedy = "let the server's user read it, and enter its folder"
        raise KeysFileError(path, [f" may not be read: {remedy}"]) from None
    try:
        return data.decode("utf-8-sig")  # some editors begin files with a byte order mark
    except UnicodeDecodeError as error:
        raise KeysFileError(path, [f" is not UTF-8 at byte {error.start}"]) from None


def parse_keys(text: str, path: Path) -> tuple[ApiKey, ...]:
    """Return the keys of a file's text. Raises `KeysFileError` with the first faults."""
    if not text.strip():  # a full disk leaves empty files
        raise KeysFileError(path, [" is empty"])
    content = _parse_toml(text, path)
    tables = content.get(TABLE, {})
    if not isinstance(tables, dict):
        raise KeysFileError(path, [f": '{TABLE}' is not a table"])
    if len(tables) > MAX_KEYS:
        raise KeysFileError(path, [f" has {len(tables)} keys: the most are {MAX_KEYS}"])
    reader = _Reader(text)
    reader.check_top(content)
    keys = [key for name, fields in tables.items() if (key := reader.build(name, fields))]
    reader.check_hashes(keys)
    if reader.faults:
        raise KeysFileError(path, list(_tell(reader.faults)))
    return tuple(keys)


def read_signature(path: Path) -> tuple[int, ...]:
    """Return a value that changes with the file, or with the target of a symbolic link.

    Raises `OSError`.
    """
    status = os.stat(path)
    return (
        *(status.st_dev, status.st_ino, status.st_size),
        *(status.st_mtime_ns, status.st_ctime_ns),
    )


def _read_bytes(path: Path) -> bytes:
    # A FIFO or a device would block the reader for good.
    if not stat.S_ISREG(path.stat().st_mode):
        raise KeysFileError(path, [" is not a file"])
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise KeysFileError(path, [f" has more than {MAX_FILE_BYTES} bytes"])
    return data


def _parse_toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # also for a number with thousands of digits
        raise KeysFileError(path, [f" is not valid TOML: {error}"]) from None
    except RecursionError:
        raise KeysFileError(path, [" is nested too deeply"]) from None


def _tell(faults: Sequence[Fault]) -> Iterator[str]:
    for fault in faults[:MAX_REPORTED_FAULTS]:
        yield fault()
    if len(faults) > MAX_REPORTED_FAULTS:
        yield f": and {len(faults) - MAX_REPORTED_FAULTS} more"


class _Reader:
    """Builds keys and collects their faults; a fault's text is built only when it is reported."""

    def __init__(self, text: str) -> None:
        self.faults: list[Fault] = []
        self._text = text
        self._lines: FileLines | None = None

    def check_top(self, content: Mapping[str, Any]) -> None:
        """Refuse everything except the tables of keys."""
        word = ": there is no '{}' here, only tables [{}.NAME]".format
        self.faults += [partial(word, name, TABLE) for name in content if name != TABLE]

    def build(self, name: str, fields: object) -> ApiKey | None:
        """Return a key, None if it has faults."""
        try:
            return _build_key(name, fields)
        except ValidationError as error:
            self.faults += self._find_unquoted(name, fields) or [
                partial(self._describe, name, fault) for fault in error.errors(include_url=False)
            ]
        except ValueError as error:
            self.faults.append(partial(self._word, name, None, f": {error}"))
        return None

    def check_hashes(self, keys: Sequence[ApiKey]) -> None:
        """Refuse keys that share a secret: a request's key would be ambiguous."""
        hashes = {key.name: {key.hash, *(each.hash for each in key.previous)} for key in keys}
        owners = Counter(hash_ for each in hashes.values() for hash_ in each)
        for name, own in hashes.items():
            if any(owners[hash_] > 1 for hash_ in own):
                fault = partial(self._word, name, "hash", ": another key has the same hash")
                self.faults.append(fault)

    def _find_unquoted(self, name: str, fields: object) -> list[Fault]:
        """Return the faults of headings without quotes: `[keys.john.doe]` is a table in `john`."""
        if not isinstance(fields, Mapping):
            return []
        unknown = {field: fields[field] for field in fields if field not in ApiKey.model_fields}
        word = ': a name with dots needs quotes: [{}."{}"]'.format
        return [
            partial(self._word, each, None, word(TABLE, each))
            for each in find_nested_names(name, unknown)
            if self._find_line(each) is not None
        ]

    def _describe(self, name: str, fault: Mapping[str, Any]) -> str:
        """Return a field's fault; for an unknown field, with the nearest name."""
        field = str(fault["loc"][0])
        path = ".".join(map(str, fault["loc"]))
        return self._word(name, field, f": '{path}' {_explain(fault, field)}")

    def _word(self, name: str, field: str | None, text: str) -> str:
        line = self._find_line(name, field)
        return (f", line {line}" if line else "") + f", key '{name}'{text}"

    def _find_line(self, name: str, field: str | None = None) -> int | None:
        if self._lines is None:
            self._lines = FileLines(self._text)
        return self._lines.find(name, field)


def _build_key(name: str, fields: object) -> ApiKey:
    if not isinstance(fields, Mapping):
        raise ValueError(f"'{TABLE}.{name}' is not a table")
    if "name" in fields:
        raise ValueError(f"the name stands in the heading [{TABLE}.NAME], not in a field")
    return ApiKey(name=check_name(name), **fields)


def _explain(fault: Mapping[str, Any], field: str) -> str:
    if fault["type"] == "missing":
        return "is missing"
    if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
        nearest = difflib.get_close_matches(field, ApiKey.model_fields, 1)
        return "is not a field of a key" + (f": did you mean '{nearest[0]}'?" if nearest else "")
    if fault["type"] == "string_pattern_mismatch":
        return "must be 'sha256:' and 64 hexadecimal digits"
    return f"is wrong: {fault['msg'].lower()}"
