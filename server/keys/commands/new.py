"""`new`: makes a key, prints it once, and writes its hash to the file."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from server.keys.commands.limits import (
    Concurrent,
    Models,
    PerMinute,
    Priority,
    Weight,
    build_limits,
)
from server.keys.commands.options import DEFAULT_FILE, Json, KeysFile, NewName
from server.keys.commands.tables import add_table
from server.keys.duration import parse_moment
from server.keys.edit import edit_keys
from server.keys.secret import generate_secret, hash_secret


def new_key(
    name: NewName,
    keys_file: KeysFile = DEFAULT_FILE,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="when it expires: 90d, 12h or 2027-06-30")
    ] = None,
    requests_per_minute: PerMinute = None,
    image_tokens_per_minute: PerMinute = None,
    output_tokens_per_minute: PerMinute = None,
    concurrent_requests: Concurrent = None,
    models: Models = None,
    priority: Priority = None,
    weight: Weight = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it. It is shown only now: the file keeps only its hash."""
    now = datetime.now(UTC).replace(microsecond=0)
    secret = generate_secret()
    fields: dict[str, Any] = {"hash": hash_secret(secret), "created": now}
    if expires is not None:
        fields["expires"] = _parse_expiry(expires, now)
    fields |= build_limits(
        models,
        requests_per_minute=requests_per_minute,
        image_tokens_per_minute=image_tokens_per_minute,
        output_tokens_per_minute=output_tokens_per_minute,
        concurrent_requests=concurrent_requests,
        priority=priority,
        weight=weight,
    )
    with edit_keys(keys_file) as document:
        add_table(document, name, fields, keys_file)
    print_secret(name, secret, keys_file, as_json=as_json)


def print_secret(name: str, secret: str, keys_file: Path, *, as_json: bool) -> None:
    """Print a secret to stdout, and a note for the user to stderr."""
    print(json.dumps({"name": name, "key": secret}) if as_json else secret)
    print(
        f"This is the key of '{name}'. It is shown only now: {keys_file} keeps its hash. A running"
        " server with that --keys-file accepts it within two seconds.",
        file=sys.stderr,
    )


def _parse_expiry(text: str, now: datetime) -> datetime:
    try:
        return parse_moment(text, now)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint="--expires") from None
