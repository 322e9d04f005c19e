"""Estimates the length of the JSON of a schema; parts without a limit count as empty."""

import json
from typing import Any, Final

# Of references within references; recursive schemas have no end.
MAX_DEPTH: Final = 8
# Characters around a key: `"": ` and a comma. Characters between items.
AROUND_KEY: Final = 6
AROUND_ITEM: Final = 2
# An integer or a number of common size, `true`, `null`, a short format such as a date.
SCALARS: Final = {"integer": 6, "number": 8, "boolean": 5, "null": 4, "string": 2}
FORMATTED: Final = 30


def estimate_length(schema: Any, root: dict[str, Any], depth: int = MAX_DEPTH) -> int:
    """Return the approximate number of characters; references are resolved in `root`."""
    if not isinstance(schema, dict) or depth == 0:
        return 0
    if "const" in schema:
        return len(json.dumps(schema["const"]))
    for key in ("enum", "anyOf", "oneOf"):
        choices = schema.get(key)
        if isinstance(choices, list) and choices:
            is_data = key == "enum"
            return max(
                len(json.dumps(each)) if is_data else estimate_length(each, root, depth - 1)
                for each in choices
            )
    if "$ref" in schema:
        return estimate_length(_resolve(schema["$ref"], root), root, depth - 1)
    return _estimate_by_type(schema, root, depth)


def _estimate_by_type(schema: dict[str, Any], root: dict[str, Any], depth: int) -> int:
    types = schema.get("type")
    type_ = types[0] if isinstance(types, list) and types else types
    if type_ == "object" or "properties" in schema:
        return _estimate_object(schema, root, depth)
    if type_ == "array":
        min_items = schema.get("minItems", 0)
        item = estimate_length(schema.get("items"), root, depth - 1) + AROUND_ITEM
        return AROUND_ITEM + (min_items if isinstance(min_items, int) else 0) * item
    if type_ == "string" and ("format" in schema or "pattern" in schema):
        return FORMATTED
    max_length = schema.get("maxLength", 0) if type_ == "string" else 0
    return SCALARS.get(str(type_), 0) + (max_length if isinstance(max_length, int) else 0)


def _estimate_object(schema: dict[str, Any], root: dict[str, Any], depth: int) -> int:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return AROUND_ITEM
    return AROUND_ITEM + sum(
        len(name) + AROUND_KEY + estimate_length(each, root, depth - 1)
        for name, each in properties.items()
    )


def _resolve(reference: Any, root: dict[str, Any]) -> Any:
    """Follow a reference to a definition."""
    for place in ("$defs", "definitions"):
        prefix, definitions = f"#/{place}/", root.get(place)
        if str(reference).startswith(prefix) and isinstance(definitions, dict):
            return definitions.get(str(reference).removeprefix(prefix))
    return None
