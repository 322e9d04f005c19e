"""Limits on the nesting of schemas, and schemas as the compiler gets them."""

from typing import Any

import pytest

from server.errors import InvalidValue
from server.structured_outputs.narrowing import build_any_object_schema
from server.structured_outputs.schema import MAX_DEPTH, check_nesting, prepare_schema


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


def test_no_schema_is_any_object() -> None:
    assert prepare_schema(None, 200) == build_any_object_schema(200)


def test_unions_are_rewritten_and_narrowed() -> None:
    pets = [
        {"type": "object", "properties": {"kind": {"const": kind}}, "required": ["kind"]}
        for kind in ("cat", "dog")
    ]
    closed = [{**pet, "additionalProperties": False} for pet in pets]
    assert prepare_schema({"oneOf": pets}, 200) == {"anyOf": closed}
