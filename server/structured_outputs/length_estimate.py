"""How many characters the JSON of a schema takes, about, where what has no limit is left empty."""

import json
from typing import Any, Final

# Of references within references; recursive schemas have no end.
MAX_DEPTH: Final = 8
# Of `"key": ` and a comma, beside the key itself; of what stands between items.
AROUND_KEY: Final = 6
AROUND_ITEM: Final = 2
# An integer or a number of common size, `true`, `null`, a short format such as a date.
SCALARS: Final = {"integer": 6, "number": 8, "boolean": 5, "null": 4, "string": 2}
FORMATTED: Final = 30


def estimate_length(schema: Any, root: dict[str, Any], depth: int = MAX_DEPTH) -> int:
    """Return the characters; `root` is the schema that references lead into."""
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
        return estimate_length(_target(schema["$ref"], root), root, depth - 1)
    return _of_type(schema, root, depth)


def _of_type(schema: dict[str, Any], root: dict[str, Any], depth: int) -> int:
    kinds = schema.get("type")
    kind = kinds[0] if isinstance(kinds, list) and kinds else kinds
    if kind == "object" or "properties" in schema:
        return _of_object(schema, root, depth)
    if kind == "array":
        shortest = schema.get("minItems", 0)
        items = estimate_length(schema.get("items"), root, depth - 1) + AROUND_ITEM
        return AROUND_ITEM + (shortest if isinstance(shortest, int) else 0) * items
    if kind == "string" and ("format" in schema or "pattern" in schema):
        return FORMATTED
    longest = schema.get("maxLength", 0) if kind == "string" else 0
    return SCALARS.get(str(kind), 0) + (longest if isinstance(longest, int) else 0)


def _of_object(schema: dict[str, Any], root: dict[str, Any], depth: int) -> int:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return AROUND_ITEM
    return AROUND_ITEM + sum(
        len(name) + AROUND_KEY + estimate_length(each, root, depth - 1)
        for name, each in properties.items()
    )


def _target(reference: Any, root: dict[str, Any]) -> Any:
    """Follow a reference to a definition."""
    for place in ("$defs", "definitions"):
        prefix, definitions = f"#/{place}/", root.get(place)
        if str(reference).startswith(prefix) and isinstance(definitions, dict):
            return definitions.get(str(reference).removeprefix(prefix))
    return None
