"""`oneOf` and what tells its alternatives apart."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from server.structured_outputs.discriminated_unions import discriminated_oneof_to_anyof


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


def marked(value: Any, **changes: Any) -> dict[str, Any]:
    """Return an alternative whose property `k` has a value."""
    properties = {"k": {"const": value}}
    return {"type": "object", "properties": properties, "required": ["k"], **changes}


@pytest.mark.parametrize(
    "alternatives",
    [
        [marked("a"), marked("a")],
        [marked("a"), marked("b", required=[])],
        [marked("a"), marked("b", type=["object", "string"])],
        [marked("a"), {"type": "object"}],
        [marked("a"), {"$ref": "#/$defs/none"}],
        [marked("a"), {"$ref": 5}],
        [marked(1), marked(True)],
        [marked("a"), "b"],
        [marked("a"), marked("b"), marked("a")],
    ],
)
def test_what_may_overlap_is_left_alone(alternatives: list[Any]) -> None:
    schema = {"oneOf": alternatives}
    assert discriminated_oneof_to_anyof(schema) == schema


def test_within_a_schema_and_beside_any_of() -> None:
    both = [marked("a"), marked("b")]
    nested = {"type": "array", "items": {"oneOf": both}}
    assert discriminated_oneof_to_anyof(nested) == {"type": "array", "items": {"anyOf": both}}
    beside = {"oneOf": both, "anyOf": [{"type": "object"}]}
    assert discriminated_oneof_to_anyof(beside) == beside
