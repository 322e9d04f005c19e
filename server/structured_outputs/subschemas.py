"""The schemas within a JSON schema, found by the keywords that hold them."""

from collections.abc import Callable, Iterator
from typing import Any, Final

Schema = dict[str, Any]

HOLDS_SUBSCHEMA: Final = ("items", "additionalItems", "additionalProperties")
# In older drafts, a list of `items` means today's `prefixItems`.
HOLDS_LIST: Final = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
HOLDS_MAP: Final = ("properties", "patternProperties", "$defs", "definitions")


def map_subschemas(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Return the schema with each direct subschema changed."""
    return {key: _map_value(key, value, change) for key, value in schema.items()}


def iterate_subschemas(schema: Schema) -> Iterator[Schema]:
    """Yield the schema and all schemas within it, in order."""
    pending = [schema]
    while pending:
        each = pending.pop()
        yield each
        pending += reversed([subschema for _, subschema in _list_subschemas(each)])


def locate_subschemas(schema: Schema, pointer: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield the JSON pointers of the schema and of all schemas within it, and the schemas.

    The pointers together may be much longer than the schema.
    """
    yield pointer, schema
    for steps, each in _list_subschemas(schema):
        yield from locate_subschemas(each, join_pointer(pointer, *steps))


def join_pointer(pointer: str, *names: str) -> str:
    """Return a JSON pointer (RFC 6901) extended by some names."""
    escaped = (name.replace("~", "~0").replace("/", "~1") for name in names)
    return "/".join((pointer, *escaped))


def _map_value(key: str, value: Any, change: Callable[[Schema], Schema]) -> Any:
    if key in HOLDS_SUBSCHEMA and isinstance(value, dict):
        return change(value)
    if key in HOLDS_LIST and isinstance(value, list):
        return [change(each) if isinstance(each, dict) else each for each in value]
    if key in HOLDS_MAP and isinstance(value, dict):
        return {
            name: change(each) if isinstance(each, dict) else each for name, each in value.items()
        }
    return value


def _list_subschemas(schema: Schema) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Yield the direct subschemas of a schema, and the names that lead to them."""
    for key, value in schema.items():
        for steps, each in _list_values(key, value):
            if isinstance(each, dict):
                yield steps, each


def _list_values(key: str, value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if key in HOLDS_SUBSCHEMA and isinstance(value, dict):
        yield (key,), value
    elif key in HOLDS_LIST and isinstance(value, list):
        yield from (((key, str(index)), each) for index, each in enumerate(value))
    elif key in HOLDS_MAP and isinstance(value, dict):
        yield from (((key, name), each) for name, each in value.items())
