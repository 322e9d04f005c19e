"""Schemas: the JSON they admit, their nesting, and the rewriting for the compiler."""

import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from server.errors import InvalidValue
from server.structured_outputs.content_format import ANY_OBJECT, HEADER
from server.structured_outputs.one_of import discriminated_oneof_to_anyof
from server.structured_outputs.schema import (
    MAX_DEPTH,
    build_json_rule,
    check_nesting,
    prepare_schema,
)
from tests.server.structured_outputs.sentences import accepts


def admits(rule: str, text: str) -> bool:
    """Whether a rule admits a text."""
    return accepts(f"{HEADER}start: {rule}\n", text)


MAP = {
    "type": "object",
    "propertyNames": {"enum": ["a", "b"]},
    "additionalProperties": {"type": "integer"},
}
JSON: list[tuple[dict[str, Any], str, bool]] = [
    ({}, "[1,null]", True),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"a": 1}', True),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"a":1}', True),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"a":  1}', False),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{ "a": 1}', False),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"b": 1}', False),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, "{}", True),
    ({"type": "object"}, '{"b": 1}', True),
    ({"type": "integer"}, "9007199254740991", True),
    ({"type": "integer"}, "9007199254740993", False),
    ({"type": "string"}, json.dumps("x" * 5000), True),
    ({"type": "array"}, json.dumps(["x"] * 2000), True),
    ({"type": "string", "minLength": 300}, json.dumps("x" * 300), True),
    ({"type": "string"}, '"a\nb"', False),
    ({"enum": ["a/b", 1, None, "</s>"]}, '"</s>"', True),
    ({"enum": ["a/b", 1, None, "</s>"]}, '"b"', False),
    ({"const": {"a": [1]}}, '{"a": [1]}', True),
    ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, "true", True),
    ({"type": "array", "items": {"type": "null"}, "maxItems": 2}, "[null, null]", True),
    ({"type": "array", "items": {"type": "null"}, "maxItems": 2}, "[null,null,null]", False),
    ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "null"}}}, "null", True),
    ({"type": "string", "pattern": "^a/b$"}, '"a/b"', True),
    (MAP, '{"a": 1}', True),
    (MAP, '{"a": 1, "b": 2}', True),
    (MAP, '{"a": 1, "a": 1}', False),
    (MAP, '{"c": 1}', False),
    (MAP, '{"a": "1"}', False),
    ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, "{}", False),
]


@pytest.mark.parametrize(("schema", "text", "fits"), JSON)
def test_json(schema: dict[str, Any], text: str, fits: bool) -> None:
    assert admits(build_json_rule(schema), text) == fits


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("{}", True),
        ('{"a": {"b": [1, -2.5e3, true, null, "x", {}]}}', True),
        ("[]", False),
        ("null", False),
        ('{"": 1}', True),
        (json.dumps({"k" * 500: "v" * 5000}), True),
    ],
)
def test_any_object(text: str, fits: bool) -> None:
    assert admits(build_json_rule(ANY_OBJECT), text) == fits


def nested(levels: int, *, lists: bool = False) -> dict[str, Any]:
    """Return a schema of `levels` objects, or lists, one within the other."""
    schema: Any = {}
    for _ in range(levels - 1):
        schema = [schema] if lists else {"items": schema}
    return {"anyOf": schema} if lists else schema


def test_nesting_up_to_the_limit() -> None:
    check_nesting(nested(MAX_DEPTH), "p")
    check_nesting({}, "p")
    check_nesting({f"k{i}": {"a": [1, "x", None]} for i in range(10_000)}, "p")


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 100_000])
@pytest.mark.parametrize("lists", [False, True])
def test_nesting_beyond_the_limit(levels: int, lists: bool) -> None:
    with pytest.raises(InvalidValue, match="64 levels") as caught:
        check_nesting(nested(levels, lists=lists), "p")
    assert caught.value.param == "p"


def test_unions_are_rewritten_and_narrowed() -> None:
    pets = [
        {"type": "object", "properties": {"kind": {"const": kind}}, "required": ["kind"]}
        for kind in ("cat", "dog")
    ]
    closed = [{**pet, "additionalProperties": False} for pet in pets]
    assert prepare_schema({"oneOf": pets}) == {"anyOf": closed}


class Cat(BaseModel):
    """An alternative."""

    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    """Another one."""

    kind: Literal["dog", "puppy"]


class Owner(BaseModel):
    """A discriminated union, as pydantic has it."""

    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


def test_discriminated_unions_of_pydantic() -> None:
    schema = Owner.model_json_schema()
    assert "oneOf" in schema["properties"]["pet"]
    pet = discriminated_oneof_to_anyof(schema)["properties"]["pet"]
    assert pet["anyOf"] == schema["properties"]["pet"]["oneOf"]
    assert "oneOf" not in pet


def alternative(value: Any, **changes: Any) -> dict[str, Any]:
    """Return an alternative whose property `k` has the value `value`."""
    properties = {"k": {"const": value}}
    return {"type": "object", "properties": properties, "required": ["k"], **changes}


@pytest.mark.parametrize(
    "alternatives",
    [
        [alternative("a"), alternative("a")],
        [alternative("a"), alternative("b", required=[])],
        [alternative("a"), alternative("b", type=["object", "string"])],
        [alternative("a"), {"type": "object"}],
        [alternative("a"), {"$ref": "#/$defs/none"}],
        [alternative("a"), {"$ref": 5}],
        [alternative(1), alternative(True)],
        [alternative("a"), "b"],
        [alternative("a"), alternative("b"), alternative("a")],
    ],
)
def test_alternatives_that_may_overlap_stay(alternatives: list[Any]) -> None:
    schema = {"oneOf": alternatives}
    assert discriminated_oneof_to_anyof(schema) == schema


def test_one_of_references() -> None:
    definitions = {"a": alternative("a"), "b": alternative("b")}
    a, b = {"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}
    found = discriminated_oneof_to_anyof({"$defs": definitions, "oneOf": [a, b]})
    assert found == {"$defs": definitions, "anyOf": [a, b]}
    repeated = {"$defs": definitions, "oneOf": [a, b, a]}
    assert discriminated_oneof_to_anyof(repeated) == repeated


def test_a_constant_beside_a_long_enum_tells_alternatives_apart() -> None:
    country = {"enum": [f"c{number}" for number in range(250)]}
    alternatives = [
        alternative(kind, required=["c", "k"], properties={"c": country, "k": {"const": kind}})
        for kind in ("a", "b")
    ]
    assert discriminated_oneof_to_anyof({"oneOf": alternatives}) == {"anyOf": alternatives}


def test_nested_one_of_and_one_of_beside_any_of() -> None:
    both = [alternative("a"), alternative("b")]
    nested = {"type": "array", "items": {"oneOf": both}}
    assert discriminated_oneof_to_anyof(nested) == {"type": "array", "items": {"anyOf": both}}
    beside = {"oneOf": both, "anyOf": [{"type": "object"}]}
    assert discriminated_oneof_to_anyof(beside) == beside
