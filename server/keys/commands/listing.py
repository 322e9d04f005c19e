"""`list`: the keys of the file and their limits; secrets are not in the file."""

import json
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from server.keys.commands.options import DEFAULT_FILE, Json, KeysFile
from server.keys.key import ApiKey, KeyLimits, has_expired
from server.keys.key_file import read_keys

COLUMNS = ("name", "state", "created", "expires", "limits")


def list_keys(keys_file: KeysFile = DEFAULT_FILE, as_json: Json = False) -> None:
    """List the keys: their state, expiry and limits."""
    now = datetime.now(UTC)
    keys = read_keys(keys_file)
    if as_json:
        print(json.dumps([_build_entry(key, now) for key in keys], indent=2))
    else:
        Console().print(_build_table(keys, now))


def _build_entry(key: ApiKey, now: datetime) -> dict[str, Any]:
    fields = key.model_dump(mode="json", exclude={"hash", "previous", "disabled"})
    previous = [each.model_dump(mode="json", include={"expires"}) for each in key.previous]
    return {"name": key.name, "state": _describe_state(key, now), **fields, "previous": previous}


def _build_table(keys: tuple[ApiKey, ...], now: datetime) -> Table:
    table = Table()
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for key in keys:
        table.add_row(
            key.name,
            _describe_state(key, now),
            _format(key.created),
            _format(key.expires),
            _describe_limits(key),
        )
    return table


def _describe_state(key: ApiKey, now: datetime) -> str:
    if key.disabled:
        return "revoked"
    if has_expired(key.expires, now):
        return "expired"
    return "rotating" if any(each.expires > now for each in key.previous) else "valid"


def _describe_limits(key: ApiKey) -> str:
    """Return the limits that are set, one a line."""
    limits = key.model_dump(include=set(KeyLimits.model_fields), exclude_defaults=True)
    return "\n".join(f"{name} {_join(value)}" for name, value in limits.items()) or "-"


def _join(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _format(moment: datetime | None) -> str:
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
