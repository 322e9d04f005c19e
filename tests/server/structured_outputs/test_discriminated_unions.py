"""`oneOf` with and without a discriminator."""

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


def test_nested_one_of_and_one_of_beside_any_of() -> None:
    both = [alternative("a"), alternative("b")]
    nested = {"type": "array", "items": {"oneOf": both}}
    assert discriminated_oneof_to_anyof(nested) == {"type": "array", "items": {"anyOf": both}}
    beside = {"oneOf": both, "anyOf": [{"type": "object"}]}
    assert discriminated_oneof_to_anyof(beside) == beside
