"""Names of properties become properties, where the compiler can then enforce them."""

from typing import Any

import pytest

from server.structured_outputs.property_names import spell_out_property_names

NULL = {"type": "null"}
SHARED = {"$ref": "#/$defs/value-1"}
CLOSED = {"additionalProperties": False}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"enum": ["a", "b", 3]}, {"properties": {"a": SHARED, "b": SHARED}, **CLOSED}),
        ({"type": "string", "const": "a", "title": "T"}, {"properties": {"a": SHARED}, **CLOSED}),
        ({"$ref": "#/$defs/A"}, {"properties": {"x": SHARED}, **CLOSED}),
        ({"pattern": "^a"}, {"patternProperties": {"^a": NULL}, **CLOSED}),
        ({"type": "string"}, {"additionalProperties": NULL}),
        ({"format": "uuid"}, {"additionalProperties": NULL}),
        (True, {"additionalProperties": NULL}),
    ],
)
def test_spelled_out(names: Any, expected: dict[str, Any]) -> None:
    definitions = {"A": {"enum": ["x"], "type": "string"}, "value-0": {}}
    items = {"type": "object", "propertyNames": names, "additionalProperties": NULL}
    found = spell_out_property_names({"items": items, "$defs": definitions})
    added = {"value-1": NULL} if "properties" in expected else {}
    assert found == {"items": {"type": "object", **expected}, "$defs": {**definitions, **added}}


@pytest.mark.parametrize(
    "schema",
    [
        {"propertyNames": {"enum": ["a"]}, "properties": {"a": NULL}},
        {"propertyNames": {"enum": ["a"]}, "maxProperties": 1},
        {"propertyNames": {"maxLength": 3}},
        {"propertyNames": {"pattern": "a", "minLength": 2}},
        {"propertyNames": {"pattern": 5}},
        {"propertyNames": {"type": "integer"}},
        {"propertyNames": {"$ref": "#/$defs/none"}},
        {"propertyNames": False},
        {"const": {"propertyNames": {}}},
    ],
)
def test_unchanged(schema: dict[str, Any]) -> None:
    assert spell_out_property_names(schema) == schema
