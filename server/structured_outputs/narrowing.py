"""Narrows schemas that are wider than clients expect.

JSON that satisfies the narrower schema satisfies the original one. Objects that list their
properties get no others. Integers stay within the range that every JSON parser can read.
"""

from typing import Final

from server.structured_outputs.subschemas import Schema, iterate_subschemas, map_subschemas

# With one of these keywords, `properties` alone does not say whether the object may be closed.
COMBINING_KEYWORDS: Final = frozenset(
    {
        *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
        *("$ref", "$dynamicRef", "$recursiveRef"),
        *("patternProperties", "unevaluatedProperties"),
        *("dependentRequired", "dependentSchemas", "dependencies"),
    }
)
INTEGER_LIMITS: Final = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("enum", "const", "multipleOf"),
)

# RFC 8259: parsers do not agree on integers beyond this.
MAX_INTEGER: Final = 2**53 - 1


def narrow_schema(schema: Schema) -> Schema:
    """Return the schema with closed objects and bounded integers.

    Schemas with `allOf` stay as they are: narrowed parts might exclude each other.
    """
    if any("allOf" in each for each in iterate_subschemas(schema)):
        return schema
    return _narrow(schema)


def _narrow(schema: Schema) -> Schema:
    result = map_subschemas(schema, _narrow)
    if _is_open_object(schema):
        result["additionalProperties"] = False
    if schema.get("type") == "integer":
        result |= _bound_integer(schema)
    return result


def _is_open_object(schema: Schema) -> bool:
    """Whether an object lists all its required properties and no keyword admits or needs others."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or "additionalProperties" in schema:
        return False
    return (
        _are_listed(schema.get("required", []), properties)
        and "minProperties" not in schema
        and not COMBINING_KEYWORDS & schema.keys()
    )


def _are_listed(required: object, properties: Schema) -> bool:
    return isinstance(required, list) and all(
        isinstance(name, str) and name in properties for name in required
    )


def _bound_integer(schema: Schema) -> Schema:
    """Return bounds for an integer that has none, or in place of bounds that lie too far out."""
    bounds = {"minimum": -MAX_INTEGER, "maximum": MAX_INTEGER}
    if not any(key in schema for key in INTEGER_LIMITS):
        return bounds
    return {key: bound for key, bound in bounds.items() if _is_beyond(schema.get(key), bound)}


def _is_beyond(value: object, bound: int) -> bool:
    return isinstance(value, int | float) and abs(value) > abs(bound) and (value < 0) == (bound < 0)
