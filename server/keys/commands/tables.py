"""A key's table in the file's document."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from tomlkit import TOMLDocument

from server.keys.commands.options import build_missing_error
from server.keys.key_file import TABLE


def find_table(document: TOMLDocument, name: str, path: Path) -> MutableMapping[str, Any]:
    """Return a key's table. Raises `KeysFileError` where the file has no such key."""
    table = document.get(TABLE, {}).get(name)
    if table is None:
        raise build_missing_error(path, name)
    assert isinstance(table, MutableMapping)  # noqa: S101 - `edit_keys` has parsed it
    return table
