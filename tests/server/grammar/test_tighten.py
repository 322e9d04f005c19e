"""Schemas are made narrower where that does no harm, and nowhere else."""

from typing import Any

import pytest

from server.grammar.tighten import MAX_INTEGER, tightened

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
    ({"type": "array", "items": OPEN}, {"type": "array", "items": CLOSED}),
    ({"prefixItems": [OPEN]}, {"prefixItems": [CLOSED]}),
    ({"anyOf": [OPEN, STRING]}, {"anyOf": [CLOSED, {**STRING, "maxLength": 128}]}),
    ({"$ref": "#/$defs/A", "$defs": {"A": OPEN}}, {"$ref": "#/$defs/A", "$defs": {"A": CLOSED}}),
    ({"additionalProperties": OPEN}, {"additionalProperties": CLOSED}),
]
LEFT_ALONE: list[dict[str, Any]] = [
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
    # Names of properties are no keywords, and values are no schemas.
    {"properties": {"type": {"const": "string"}}, "additionalProperties": False},
    {"const": {"type": "string"}},
    {"enum": [{"type": "integer"}]},
    # Nonsense is for the compiler to refuse.
    {"properties": [], "items": 5, "anyOf": "x", "$defs": None},
]


@pytest.mark.parametrize(("schema", "narrower"), NARROWED)
def test_narrowed(schema: dict[str, Any], narrower: dict[str, Any]) -> None:
    assert tightened(schema, 100) == narrower
    assert tightened(narrower, 100) == narrower


@pytest.mark.parametrize("schema", LEFT_ALONE)
def test_left_alone(schema: dict[str, Any]) -> None:
    assert tightened(schema, 100) == schema


@pytest.mark.parametrize(
    ("max_tokens", "strings", "characters"),
    [(1, 1, 16), (100, 1, 128), (127, 1, 128), (128, 1, 256), (128, 2, 128), (10, 50, 16)],
)
def test_strings_share_the_tokens(max_tokens: int, strings: int, characters: int) -> None:
    schema = {"type": "object", "properties": {f"s{i}": STRING for i in range(strings)}}
    properties = tightened(schema, max_tokens)["properties"]
    assert {each["maxLength"] for each in properties.values()} == {characters}
