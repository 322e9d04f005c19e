"""Schemas are narrowed where that is safe, and nowhere else."""

from typing import Any

import pytest

from server.structured_outputs.narrowing import MAX_INTEGER, build_any_object_schema, narrow_schema

CHAR_BUDGET = 200

BOUNDS = {"minimum": -MAX_INTEGER, "maximum": MAX_INTEGER}
STRING = {"type": "string"}
OPEN = {"type": "object", "properties": {"a": {"type": "null"}}}
CLOSED = {**OPEN, "additionalProperties": False}

NARROWED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (OPEN, CLOSED),
    ({**OPEN, "required": ["a"]}, {**CLOSED, "required": ["a"]}),
    ({"type": "integer"}, {"type": "integer", **BOUNDS}),
    (STRING, {**STRING, "maxLength": 128}),
    ({"type": ["string", "null"]}, {"type": ["string", "null"], "maxLength": 128}),
    ({**STRING, "minLength": 500}, {**STRING, "minLength": 500, "maxLength": 500}),
    (
        {"type": "array", "items": OPEN, "maxItems": 3},
        {"type": "array", "items": CLOSED, "maxItems": 3},
    ),
    ({"type": "array", "items": OPEN}, {"type": "array", "items": CLOSED, "maxItems": 8}),
    ({"type": "array", "minItems": 99}, {"type": "array", "minItems": 99, "maxItems": 99}),
    (
        {"type": "array", "prefixItems": [{"type": "null"}]},
        {"type": "array", "prefixItems": [{"type": "null"}], "maxItems": 65},
    ),
    ({"prefixItems": [OPEN]}, {"prefixItems": [CLOSED]}),
    ({"anyOf": [OPEN, STRING]}, {"anyOf": [CLOSED, {**STRING, "maxLength": 128}]}),
    ({"$ref": "#/$defs/A", "$defs": {"A": OPEN}}, {"$ref": "#/$defs/A", "$defs": {"A": CLOSED}}),
    ({"additionalProperties": OPEN}, {"additionalProperties": CLOSED}),
]
UNCHANGED: list[dict[str, Any]] = [
    {},
    CLOSED,
    {"type": "object"},
    {**OPEN, "additionalProperties": True},
    {**OPEN, "required": ["a", "b"]},
    {**OPEN, "minProperties": 2},
    {**OPEN, "patternProperties": {"^b": {"type": "null"}}},
    {**OPEN, "anyOf": [{"required": ["a"]}]},
    {"allOf": [OPEN, {"type": "object", "properties": {"b": {"type": "null"}}}]},
    {"type": "integer", "minimum": 3},
    {"type": "integer", "multipleOf": 3},
    {"type": "integer", "enum": [10**20]},
    {"type": "string", "maxLength": 10_000},
    {"type": "string", "pattern": "^a*$"},
    {"type": "string", "format": "email"},
    {"type": "string", "enum": ["a"]},
    {"type": "array", "items": False, "prefixItems": [{"type": "null"}]},
    {"type": "array", "enum": [[1] * 99]},
    {"type": "array", "$ref": "#/$defs/A"},
    # Property names are not keywords, and values are not schemas.
    {"properties": {"type": {"const": "string"}}, "additionalProperties": False},
    {"const": {"type": "string"}},
    {"enum": [{"type": "integer"}]},
    # The compiler refuses invalid schemas.
    {"properties": [], "items": 5, "anyOf": "x", "$defs": None},
]


@pytest.mark.parametrize(("schema", "narrower"), NARROWED)
def test_narrowed(schema: dict[str, Any], narrower: dict[str, Any]) -> None:
    assert narrow_schema(schema, CHAR_BUDGET) == narrower
    assert narrow_schema(narrower, CHAR_BUDGET) == narrower


@pytest.mark.parametrize("schema", UNCHANGED)
def test_unchanged(schema: dict[str, Any]) -> None:
    assert narrow_schema(schema, CHAR_BUDGET) == schema


@pytest.mark.parametrize(
    ("char_budget", "strings", "characters"),
    [(1, 1, 16), (139, 1, 64), (138, 1, 64), (160, 1, 128), (160, 2, 64), (10, 50, 16)],
)
def test_strings_share_the_budget(char_budget: int, strings: int, characters: int) -> None:
    schema = {"type": "object", "properties": {f"s{i}": STRING for i in range(strings)}}
    properties = narrow_schema(schema, char_budget)["properties"]
    assert {each["maxLength"] for each in properties.values()} == {characters}


def test_strings_and_arrays_share_the_budget() -> None:
    item = {"type": "object", "properties": {"a": {"enum": ["x" * 20]}}, "required": ["a"]}
    schema = {"type": "object", "properties": {"s": STRING, "l": {"type": "array", "items": item}}}
    properties = narrow_schema(schema, 600)["properties"]
    assert properties["s"]["maxLength"] == 256
    assert properties["l"]["maxItems"] == 256 // (len('{"a": "", }') + 20 + 2)


def test_any_object_cannot_be_narrowed() -> None:
    schema = build_any_object_schema(CHAR_BUDGET)
    assert narrow_schema(schema, CHAR_BUDGET) == schema
