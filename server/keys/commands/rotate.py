"""`rotate`: gives a key a new secret; the old one stays valid for a while."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import tomlkit
import typer
from tomlkit.items import Array

from server.keys.commands.new import print_secret
from server.keys.commands.options import DEFAULT_FILE, Json, KeysFile, Name
from server.keys.commands.tables import find_table, set_field
from server.keys.duration import parse_span
from server.keys.edit import edit_keys
from server.keys.errors import KeysFileError
from server.keys.key import has_expired
from server.keys.key_file import read_keys
from server.keys.secret import generate_secret, hash_secret


def rotate_key(
    name: Name,
    keys_file: KeysFile = DEFAULT_FILE,
    keep: Annotated[
        str,
        typer.Option(metavar="SPAN", help="how long old secrets stay valid: 7d, 12h; 0 ends all"),
    ] = "1d",
    as_json: Json = False,
) -> None:
    """Give a key a new secret and print it. Name, limits, usage and caches stay."""
    now = datetime.now(UTC).replace(microsecond=0)
    kept = _parse_keep(keep)
    secret = generate_secret()
    with edit_keys(keys_file) as document:
        table = find_table(document, name, keys_file)
        previous = _list_valid(name, keys_file, now)
        previous.append({"hash": str(table["hash"]), "expires": now + kept})
        if not kept:
            previous = []
        set_field(table, "hash", hash_secret(secret))
        if previous or "previous" in table:
            set_field(table, "previous", _build_array(previous))
    print_secret(name, secret, keys_file, as_json=as_json)


def _parse_keep(text: str) -> timedelta:
    try:
        return parse_span(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--keep") from None


def _list_valid(name: str, keys_file: Path, now: datetime) -> list[dict[str, Any]]:
    """Return the earlier secrets that are still valid.

    Raises `KeysFileError` for a key that is revoked or expired: no secret would make it valid.
    """
    (key,) = (each for each in read_keys(keys_file) if each.name == name)
    if key.disabled:
        raise KeysFileError(keys_file, [f": the key '{name}' is revoked; make a new one"])
    if has_expired(key.expires, now):
        remedy = "make a new one, or set a later 'expires' in the file first"
        raise KeysFileError(keys_file, [f": the key '{name}' has expired; {remedy}"])
    return [dict(each) for each in key.previous if each.expires > now]


def _build_array(items: list[dict[str, Any]]) -> Array:
    array = tomlkit.array()
    for item in items:
        table = tomlkit.inline_table()
        table.update(item)
        array.append(table)
    return array.multiline(True)
