"""Schemas are narrowed where no client expects freedom, and nowhere else."""

from typing import Any

import pytest

from server.structured_outputs.narrowing import MAX_INTEGER, narrow_schema

BOUNDS = {"minimum": -MAX_INTEGER, "maximum": MAX_INTEGER}
OPEN = {"type": "object", "properties": {"a": {"type": "null"}}}
CLOSED = {**OPEN, "additionalProperties": False}

NARROWED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (OPEN, CLOSED),
    ({**OPEN, "required": ["a"]}, {**CLOSED, "required": ["a"]}),
    ({"type": "integer"}, {"type": "integer", **BOUNDS}),
    # The compiler refuses the bounds of 64 bits.
    ({"type": "integer", "minimum": -(2**63)}, {"type": "integer", "minimum": -MAX_INTEGER}),
    (
        {"type": "integer", "minimum": 0, "maximum": 1e300},
        {"type": "integer", **BOUNDS, "minimum": 0},
    ),
    ({"type": "array", "items": OPEN}, {"type": "array", "items": CLOSED}),
    ({"prefixItems": [OPEN]}, {"prefixItems": [CLOSED]}),
    ({"items": [OPEN]}, {"items": [CLOSED]}),
    ({"anyOf": [OPEN, {"type": "string"}]}, {"anyOf": [CLOSED, {"type": "string"}]}),
    ({"$ref": "#/$defs/A", "$defs": {"A": OPEN}}, {"$ref": "#/$defs/A", "$defs": {"A": CLOSED}}),
    ({"additionalProperties": OPEN}, {"additionalProperties": CLOSED}),
]
UNCHANGED: list[dict[str, Any]] = [
    {},
    CLOSED,
    {"type": "object"},
    {"type": "string"},
    {"type": ["string", "null"]},
    {"type": "array"},
    {"type": "array", "items": {"type": "string"}, "minItems": 3},
    {**OPEN, "additionalProperties": True},
    {**OPEN, "required": ["a", "b"]},
    {**OPEN, "required": [["a"], {}]},
    {**OPEN, "minProperties": 2},
    {**OPEN, "patternProperties": {"^b": {"type": "null"}}},
    {**OPEN, "dependentSchemas": {"a": {"properties": {"b": {}}}}},
    {**OPEN, "unevaluatedProperties": True},
    {**OPEN, "anyOf": [{"required": ["a"]}]},
    {"allOf": [OPEN, {"type": "object", "properties": {"b": {"type": "null"}}}]},
    {"type": "integer", "minimum": 3},
    {"type": "integer", "multipleOf": 3},
    {"type": "integer", "enum": [10**20]},
    # Property names are not keywords, and values are not schemas.
    {"properties": {"type": {"const": "string"}}, "additionalProperties": False},
    {"const": {"type": "integer"}},
    {"enum": [{"type": "integer"}]},
    # The compiler refuses invalid schemas.
    {"properties": [], "items": 5, "anyOf": "x", "$defs": None},
]


@pytest.mark.parametrize(("schema", "narrower"), NARROWED)
def test_narrowed(schema: dict[str, Any], narrower: dict[str, Any]) -> None:
    assert narrow_schema(schema) == narrower
    assert narrow_schema(narrower) == narrower


@pytest.mark.parametrize("schema", UNCHANGED)
def test_unchanged(schema: dict[str, Any]) -> None:
    assert narrow_schema(schema) == schema
