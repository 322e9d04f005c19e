"""Schemas may be nested, within bounds."""

from typing import Any

import pytest

from server.errors import InvalidValue
from server.structured_outputs.schema import MAX_DEPTH, check_nesting


def nested(levels: int, *, lists: bool = False) -> dict[str, Any]:
    """Return a schema of so many objects, or lists, one within the other."""
    schema: Any = {}
    for _ in range(levels - 1):
        schema = [schema] if lists else {"items": schema}
    return {"anyOf": schema} if lists else schema


def test_up_to_the_limit() -> None:
    check_nesting(nested(MAX_DEPTH), "p")
    check_nesting({}, "p")
    check_nesting({f"k{i}": {"a": [1, "x", None]} for i in range(10_000)}, "p")


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 100_000])
@pytest.mark.parametrize("lists", [False, True])
def test_beyond(levels: int, lists: bool) -> None:
    with pytest.raises(InvalidValue, match="64 levels") as caught:
        check_nesting(nested(levels, lists=lists), "p")
    assert caught.value.param == "p"
