"""Assertions on the results of client programs."""

from typing import Any


def assert_same_answer(result: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare an answer with the expected one in the fields that its client returns."""
    assert {"text", "prompt_tokens", "completion_tokens"} <= set(result)
    compared = {key: value for key, value in result.items() if key in expected}
    assert compared == {key: expected[key] for key in compared}


def assert_shape(value: Any) -> None:
    """Check a value against the schema of the tools and structured outputs."""
    assert set(value) == {"shape", "count"}
    assert value["shape"] in ("circle", "square", "triangle", "star")
    assert type(value["count"]) is int
    assert 0 <= value["count"] <= 9
