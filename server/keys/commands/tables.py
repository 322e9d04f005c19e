"""A key's table in the file's document."""

from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import AbstractTable, Comment, Whitespace

from server.keys.errors import KeysFileError
from server.keys.key_file import TABLE


def find_table(document: TOMLDocument, name: str, path: Path) -> AbstractTable:
    """Return a key's table. Raises `KeysFileError` if the file has no such key."""
    table = document.get(TABLE, {}).get(name)
    if table is None:
        raise KeysFileError(path, [f" has no key '{name}'"])
    assert isinstance(table, AbstractTable)  # noqa: S101 - `edit_keys` has parsed it
    return table


def set_field(table: AbstractTable, name: str, value: Any) -> None:
    """Set a field. A new one goes before comments at the end, which belong to the next table."""
    body = table.value.body
    end = len(body)
    while name not in table and end and isinstance(body[end - 1][1], Comment | Whitespace):
        end -= 1
    rest, body[end:] = body[end:], []
    table[name] = value
    body.extend(rest)


def add_table(document: TOMLDocument, name: str, fields: dict[str, Any], path: Path) -> None:
    """Add a key. Raises `KeysFileError` if the name is taken."""
    if TABLE not in document:
        document[TABLE] = tomlkit.table(is_super_table=True)
    tables = document[TABLE]
    assert isinstance(tables, dict)  # noqa: S101 - `edit_keys` has parsed it
    if name in tables:
        raise KeysFileError(
            path, [f" has a key '{name}' already: choose another name, or `keys rotate {name}`"]
        )
    tables[name] = fields
