"""Schemas made narrower, so that also a weak model comes to an end within its tokens.

Whatever fits the narrower schema fits the original one. Objects that list their properties get no
others, strings without a limit get one that the token limit leaves room for, and integers stay
within what every reader of JSON can hold.
"""

from collections.abc import Iterator
from typing import Any, Final

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
# Characters that a token spells at least, on average, in text.
CHARACTERS_PER_TOKEN: Final = 2
MIN_CHARACTERS: Final = 16
MAX_KEY_CHARACTERS: Final = 64


def tightened(schema: dict[str, Any], max_tokens: int) -> dict[str, Any]:
    """Return the schema narrowed for answers of at most `max_tokens`.

    With `allOf`, parts that were narrowed each for itself might exclude each other.
    """
    if any("allOf" in each for each in _subschemas(schema)):
        return schema
    strings = sum(_is_endless_string(each) for each in _subschemas(schema))
    return _tightened(schema, _max_characters(max_tokens, strings))


def any_object(max_tokens: int) -> dict[str, Any]:
    """Return the schema of all objects whose strings the tokens leave room for."""
    value = [
        {"type": "string", "maxLength": _max_characters(max_tokens, 2)},
        {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
        {"type": ["number", "boolean", "null"]},
        {"type": "array", "items": {"$ref": "#/$defs/value"}},
        {"$ref": "#/$defs/object"},
    ]
    key = f"^.{{1,{MAX_KEY_CHARACTERS}}}$"
    entries = {"patternProperties": {key: {"$ref": "#/$defs/value"}}, "additionalProperties": False}
    return {
        "$ref": "#/$defs/object",
        "$defs": {"value": {"anyOf": value}, "object": {"type": "object", **entries}},
    }


def _max_characters(max_tokens: int, strings: int) -> int:
    """Share the tokens between the strings; in few steps, since each makes a grammar of its own."""
    share = CHARACTERS_PER_TOKEN * max_tokens // max(strings, 1)
    return max(MIN_CHARACTERS, 1 << max(share.bit_length() - 1, 0))


def _tightened(schema: dict[str, Any], max_characters: int) -> dict[str, Any]:
    result = {key: _tightened_value(key, value, max_characters) for key, value in schema.items()}
    if _is_open_object(schema):
        result["additionalProperties"] = False
    if _is_endless_string(schema):
        shortest = schema.get("minLength", 0)
        result["maxLength"] = max(max_characters, shortest if isinstance(shortest, int) else 0)
    if schema.get("type") == "integer" and not any(key in schema for key in INTEGER_LIMITS):
        result |= {"minimum": -MAX_INTEGER, "maximum": MAX_INTEGER}
    return result


def _tightened_value(key: str, value: Any, max_characters: int) -> Any:
    def tighten(each: Any) -> Any:
        return _tightened(each, max_characters) if isinstance(each, dict) else each

    if key in SUBSCHEMAS:
        return tighten(value)
    if key in LISTS_OF_SUBSCHEMAS and isinstance(value, list):
        return [tighten(each) for each in value]
    if key in MAPS_OF_SUBSCHEMAS and isinstance(value, dict):
        return {name: tighten(each) for name, each in value.items()}
    return value


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


def _is_endless_string(schema: dict[str, Any]) -> bool:
    kinds = schema.get("type")
    is_string = kinds == "string" or (isinstance(kinds, list) and "string" in kinds)
    return is_string and not any(key in schema for key in (*STRING_LIMITS, *COMBINING))
