"""References within a schema."""

import re
from typing import Any, Final
from urllib.parse import unquote

from server.structured_outputs.subschemas import Schema

# Returned for a reference that leads nowhere.
NOWHERE: Final = object()
INDEX: Final = re.compile("0|[1-9][0-9]*")


def resolve_reference(schema: Any, root: Schema) -> Any:
    """Return the target of a schema that is a single `$ref`; return any other schema itself."""
    if not isinstance(schema, dict) or "$ref" not in schema:
        return schema
    return follow_reference(schema["$ref"], root)


def follow_reference(reference: Any, root: Schema) -> Any:
    """Return the part of `root` at a JSON pointer reference, or `NOWHERE`."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return NOWHERE
    node: Any = root
    try:
        for step in unquote(reference).split("/")[1:]:
            node = node[_read_index(step)] if isinstance(node, list) else node[_unescape(step)]
    except (LookupError, TypeError, ValueError):
        return NOWHERE
    return node if reference == "#" or reference.startswith("#/") else NOWHERE


def _unescape(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _read_index(step: str) -> int:
    """Return the index of a list (RFC 6901, section 4). Raises `ValueError`."""
    if INDEX.fullmatch(step) is None:
        raise ValueError
    return int(step)
