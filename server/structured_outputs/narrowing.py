"""Schemas made narrower, so that also a weak model comes to an end within its tokens.

Whatever fits the narrower schema fits the original one. Objects that list their properties get no
others, strings and arrays without a limit get one that the token limit leaves room for, and
integers stay within what every reader of JSON can hold. `room` is in characters.
"""

from collections.abc import Iterator
from typing import Any, Final

from server.structured_outputs.length_estimate import AROUND_ITEM, estimate_length

# Where one of them stands, whether an object may be closed cannot be told from the object alone.
COMBINING: Final = frozenset(
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

# RFC 8259: what lies beyond is not read alike everywhere.
MAX_INTEGER: Final = 2**53 - 1
MIN_CHARACTERS: Final = 16
# More take the engine long to prepare for.
MAX_ITEMS: Final = 1024
# Of an object or array of which nothing is known.
MIN_ITEMS: Final = 8
MAX_KEY_CHARACTERS: Final = 64


def narrow_schema(schema: dict[str, Any], room: int) -> dict[str, Any]:
    """Return the schema narrowed for answers that have so much room.

    With `allOf`, parts that were narrowed each for itself might exclude each other.
    """
    if any("allOf" in each for each in _subschemas(schema)):
        return schema
    endless = sum(
        _is_endless_string(each) or _is_endless_array(each) for each in _subschemas(schema)
    )
    left = max(room - estimate_length(schema, schema), room // 4)
    return _Narrowing(schema, _share(left, endless)).narrow(schema)


def build_any_object_schema(room: int) -> dict[str, Any]:
    """Return the schema of all objects that the room is large enough for, about."""
    share = _share(room, 2)
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


def _share(room: int, endless: int) -> int:
    """Share the room between all that has no end; in few steps: each makes another grammar."""
    share = room // max(endless, 1)
    return max(MIN_CHARACTERS, 1 << max(share.bit_length() - 1, 0))


class _Narrowing:
    """Narrows the parts of one schema; each that has no end gets `share` characters."""

    def __init__(self, root: dict[str, Any], share: int) -> None:
        self._root = root
        self._share = share

    def narrow(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a part, narrowed."""
        result = {key: self._value(key, value) for key, value in schema.items()}
        if _is_open_object(schema):
            result["additionalProperties"] = False
        if _is_endless_string(schema):
            result["maxLength"] = max(self._share, _at_least(schema, "minLength"))
        if _is_endless_array(schema):
            result["maxItems"] = max(self._num_items(schema), _at_least(schema, "minItems"))
        if schema.get("type") == "integer" and not any(key in schema for key in INTEGER_LIMITS):
            result |= {"minimum": -MAX_INTEGER, "maximum": MAX_INTEGER}
        return result

    def _num_items(self, schema: dict[str, Any]) -> int:
        item = estimate_length(schema.get("items"), self._root) + AROUND_ITEM
        prefix = schema.get("prefixItems")
        given = len(prefix) if isinstance(prefix, list) else 0
        return given + min(max(1, self._share // item), MAX_ITEMS)

    def _value(self, key: str, value: Any) -> Any:
        if key in SUBSCHEMAS:
            return self._part(value)
        if key in LISTS_OF_SUBSCHEMAS and isinstance(value, list):
            return [self._part(each) for each in value]
        if key in MAPS_OF_SUBSCHEMAS and isinstance(value, dict):
            return {name: self._part(each) for name, each in value.items()}
        return value

    def _part(self, value: Any) -> Any:
        return self.narrow(value) if isinstance(value, dict) else value


def _at_least(schema: dict[str, Any], key: str) -> int:
    shortest = schema.get(key, 0)
    return shortest if isinstance(shortest, int) else 0


def _subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schema and all those within it."""
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
                yield from _subschemas(each)


def _is_open_object(schema: dict[str, Any]) -> bool:
    """Tell whether a schema lists properties, needs no other and says nothing of others."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or "additionalProperties" in schema:
        return False
    required = schema.get("required", [])
    listed = isinstance(required, list) and all(name in properties for name in required)
    return listed and "minProperties" not in schema and not COMBINING & schema.keys()


def _is_endless_array(schema: dict[str, Any]) -> bool:
    if schema.get("type") != "array" or COMBINING & schema.keys():
        return False
    bounded = "maxItems" in schema or "enum" in schema or "const" in schema
    return not bounded and isinstance(schema.get("items", {}), dict)


def _is_endless_string(schema: dict[str, Any]) -> bool:
    kinds = schema.get("type")
    is_string = kinds == "string" or (isinstance(kinds, list) and "string" in kinds)
    return is_string and not any(key in schema for key in (*STRING_LIMITS, *COMBINING))
