"""Comparing what programs print."""

from typing import Any


def same(result: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare an answer with the expected one, as far as its client tells it."""
    assert {"text", "prompt_tokens", "completion_tokens"} <= set(result)
    told = {key: value for key, value in result.items() if key in expected}
    assert told == {key: expected[key] for key in told}


def is_shape(value: Any) -> None:
    """Check that a value is what the tools and structured outputs were asked for."""
    assert set(value) == {"shape", "count"}
    assert value["shape"] in ("circle", "square", "triangle", "star")
    assert type(value["count"]) is int
    assert 0 <= value["count"] <= 9
