"""Rewriting takes steps and memory in proportion to a schema, whatever the schema is."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from server.errors import InvalidValue
from server.structured_outputs.property_names import MAX_GROWTH
from server.structured_outputs.schema import build_json_rule, check_schema
from tests.server.structured_outputs.hostile_schemas import REFUSED, REWRITTEN, Schema

# Calls and lines of Python for each character of a schema and of its rule.
MAX_STEPS_PER_CHARACTER = 20


def count_steps(work: Callable[[], Any]) -> int:
    """Return how many lines and calls of Python some work takes."""
    steps = 0

    def count(*_: object) -> Any:
        nonlocal steps
        steps += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(before)
    return steps


def process(schema: Schema) -> None:
    """Do to a schema what a request does before the worker gets it."""
    check_schema(schema, "p")
    build_json_rule(schema)


@pytest.mark.parametrize("name", REWRITTEN)
def test_size_and_steps(name: str) -> None:
    schema = REWRITTEN[name]
    size = len(json.dumps(schema))
    check_schema(schema, "p")
    result_size = len(build_json_rule(schema))
    assert result_size <= (MAX_GROWTH + 1) * size
    assert count_steps(lambda: process(schema)) <= MAX_STEPS_PER_CHARACTER * (size + result_size)


@pytest.mark.parametrize("name", REFUSED)
def test_too_many_names(name: str) -> None:
    with pytest.raises(InvalidValue, match="too many names in total") as caught:
        check_schema(REFUSED[name], "p")
    assert caught.value.param == "p"


def test_refusal_costs_no_more_than_the_schema() -> None:
    schema = REFUSED["400 maps of one enum"]

    def refuse() -> None:
        with pytest.raises(InvalidValue):
            check_schema(schema, "p")

    assert count_steps(refuse) <= MAX_STEPS_PER_CHARACTER * len(json.dumps(schema))
