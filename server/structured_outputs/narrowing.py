"""Narrows schemas, so that weak models finish their JSON within the token limit.

JSON that satisfies the narrower schema satisfies the original one. Objects that list their
properties get no others. Strings and arrays without a limit get one that fits the token limit.
Integers stay within the range that every JSON parser can read. A `char_budget` is in characters.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

# Beside one of these keywords, the object alone does not say whether it may be closed.
COMBINING_KEYWORDS: Final = frozenset(
    {"allOf", "anyOf", "oneOf", "not", "if", "$ref", "patternProperties", "unevaluatedProperties"}
)
SUBSCHEMAS: Final = ("items", "additionalItems", "additionalProperties")
LISTS_OF_SUBSCHEMAS: Final = ("anyOf", "oneOf", "prefixItems")
MAPS_OF_SUBSCHEMAS: Final = ("properties", "patternProperties", "$defs", "definitions")
STRING_LIMITS: Final = ("maxLength", "pattern", "format", "enum", "const")
INTEGER_LIMITS: Final = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("enum", "const", "multipleOf"),
)

# RFC 8259: parsers do not agree on integers beyond this.
MAX_INTEGER: Final = 2**53 - 1
MIN_CHARACTERS: Final = 16
# The engine takes long to compile a grammar for more.
MAX_ITEMS: Final = 1024
# Of an object or array without a schema.
MIN_ITEMS: Final = 8
MAX_KEY_CHARACTERS: Final = 64

# Of references within references; recursive schemas have no end.
MAX_REFERENCE_DEPTH: Final = 8
# Characters around a key: `"": ` and a comma. Characters between items.
AROUND_KEY: Final = 6
AROUND_ITEM: Final = 2
# An integer or a number of common size, `true`, `null`, a short format such as a date.
SCALARS: Final = {"integer": 6, "number": 8, "boolean": 5, "null": 4, "string": 2}
FORMATTED: Final = 30


def narrow_schema(schema: dict[str, Any], char_budget: int) -> dict[str, Any]:
    """Return the schema narrowed for JSON of `char_budget` characters.

    Schemas with `allOf` stay as they are: narrowed parts might exclude each other.
    """
    if any("allOf" in each for each in _iterate_subschemas(schema)):
        return schema
    num_unbounded = sum(
        _is_unbounded_string(each) or _is_unbounded_array(each)
        for each in _iterate_subschemas(schema)
    )
    unbounded_budget = max(char_budget - _estimate_length(schema, schema), char_budget // 4)
    return _Narrower(schema, _divide_budget(unbounded_budget, num_unbounded)).narrow(schema)


def build_any_object_schema(char_budget: int) -> dict[str, Any]:
    """Return the schema of all objects of about `char_budget` characters."""
    share = _divide_budget(char_budget, 2)
    items = max(MIN_ITEMS, share // MIN_CHARACTERS)
    value = [
        {"type": "string", "maxLength": share},
        {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
        {"type": ["number", "boolean", "null"]},
        {"type": "array", "items": {"$ref": "#/$defs/value"}, "maxItems": items},
        {"$ref": "#/$defs/object"},
    ]
    key = f"^.{{1,{MAX_KEY_CHARACTERS}}}$"
    entries = {
        "patternProperties": {key: {"$ref": "#/$defs/value"}},
        "additionalProperties": False,
        "maxProperties": items,
    }
    return {
        "$ref": "#/$defs/object",
        "$defs": {"value": {"anyOf": value}, "object": {"type": "object", **entries}},
    }


def _divide_budget(char_budget: int, num_unbounded: int) -> int:
    """Divide the budget between the unbounded parts.

    Shares are powers of two: each value makes another grammar, and grammars are cached.
    """
    share = char_budget // max(num_unbounded, 1)
    return max(MIN_CHARACTERS, 1 << max(share.bit_length() - 1, 0))


class _Narrower:
    """Narrows the subschemas of one schema; each unbounded one gets `share` characters."""

    def __init__(self, root: dict[str, Any], share: int) -> None:
        self._root = root
        self._share = share

    def narrow(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a subschema, narrowed."""
        result = {key: self._narrow_value(key, value) for key, value in schema.items()}
        if _is_open_object(schema):
            result["additionalProperties"] = False
        if _is_unbounded_string(schema):
            result["maxLength"] = max(self._share, _read_minimum(schema, "minLength"))
        if _is_unbounded_array(schema):
            result["maxItems"] = max(
                self._compute_max_items(schema), _read_minimum(schema, "minItems")
            )
        if schema.get("type") == "integer" and not any(key in schema for key in INTEGER_LIMITS):
            result |= {"minimum": -MAX_INTEGER, "maximum": MAX_INTEGER}
        return result

    def _compute_max_items(self, schema: dict[str, Any]) -> int:
        item = _estimate_length(schema.get("items"), self._root) + AROUND_ITEM
        prefix = schema.get("prefixItems")
        num_prefix = len(prefix) if isinstance(prefix, list) else 0
        return num_prefix + min(max(1, self._share // item), MAX_ITEMS)

    def _narrow_value(self, key: str, value: Any) -> Any:
        if key in SUBSCHEMAS:
            return self._narrow_if_schema(value)
        if key in LISTS_OF_SUBSCHEMAS and isinstance(value, list):
            return [self._narrow_if_schema(each) for each in value]
        if key in MAPS_OF_SUBSCHEMAS and isinstance(value, dict):
            return {name: self._narrow_if_schema(each) for name, each in value.items()}
        return value

    def _narrow_if_schema(self, value: Any) -> Any:
        return self.narrow(value) if isinstance(value, dict) else value


def _read_minimum(schema: dict[str, Any], key: str) -> int:
    minimum = schema.get(key, 0)
    return minimum if isinstance(minimum, int) else 0


def _iterate_subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schema and all its subschemas."""
    yield schema
    for key, value in schema.items():
        inner: list[Any] = []
        if key in SUBSCHEMAS:
            inner = [value]
        elif key in LISTS_OF_SUBSCHEMAS and isinstance(value, list):
            inner = value
        elif key in MAPS_OF_SUBSCHEMAS and isinstance(value, dict):
            inner = list(value.values())
        for each in inner:
            if isinstance(each, dict):
                yield from _iterate_subschemas(each)


def _is_open_object(schema: dict[str, Any]) -> bool:
    """Whether an object lists all properties it requires and no keyword speaks of others."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or "additionalProperties" in schema:
        return False
    required = schema.get("required", [])
    are_listed = isinstance(required, list) and all(name in properties for name in required)
    return are_listed and "minProperties" not in schema and not COMBINING_KEYWORDS & schema.keys()


def _is_unbounded_array(schema: dict[str, Any]) -> bool:
    if schema.get("type") != "array" or COMBINING_KEYWORDS & schema.keys():
        return False
    is_bounded = "maxItems" in schema or "enum" in schema or "const" in schema
    return not is_bounded and isinstance(schema.get("items", {}), dict)


def _is_unbounded_string(schema: dict[str, Any]) -> bool:
    types = schema.get("type")
    is_string = types == "string" or (isinstance(types, list) and "string" in types)
    return is_string and not any(key in schema for key in (*STRING_LIMITS, *COMBINING_KEYWORDS))


def _estimate_length(schema: Any, root: dict[str, Any], depth: int = MAX_REFERENCE_DEPTH) -> int:
    """Return the approximate number of characters of a schema's JSON.

    References are resolved in `root`. Parts without a limit count as empty.
    """
    if not isinstance(schema, dict) or depth == 0:
        return 0
    if "const" in schema:
        return len(json.dumps(schema["const"]))
    for key in ("enum", "anyOf", "oneOf"):
        choices = schema.get(key)
        if isinstance(choices, list) and choices:
            is_data = key == "enum"
            return max(
                len(json.dumps(each)) if is_data else _estimate_length(each, root, depth - 1)
                for each in choices
            )
    if "$ref" in schema:
        return _estimate_length(_resolve_reference(schema["$ref"], root), root, depth - 1)
    return _estimate_by_type(schema, root, depth)


def _estimate_by_type(schema: dict[str, Any], root: dict[str, Any], depth: int) -> int:
    types = schema.get("type")
    type_ = types[0] if isinstance(types, list) and types else types
    if type_ == "object" or "properties" in schema:
        return _estimate_object(schema, root, depth)
    if type_ == "array":
        min_items = schema.get("minItems", 0)
        item = _estimate_length(schema.get("items"), root, depth - 1) + AROUND_ITEM
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
        len(name) + AROUND_KEY + _estimate_length(each, root, depth - 1)
        for name, each in properties.items()
    )


def _resolve_reference(reference: Any, root: dict[str, Any]) -> Any:
    """Follow a reference to a definition."""
    for place in ("$defs", "definitions"):
        prefix, definitions = f"#/{place}/", root.get(place)
        if str(reference).startswith(prefix) and isinstance(definitions, dict):
            return definitions.get(str(reference).removeprefix(prefix))
    return None
