"""Structured output, validated by the clients' own types."""

from typing import Any

from tests.clients.assertions import assert_shape
from tests.clients.scenarios import parametrize_scenarios


@parametrize_scenarios(
    "structured",
    "structured_by_output",
    "structured_by_tool",
    "structured_image",
    "structured_streamed",
    "structured_strict",
    "response_structured",
)
def test_fits_the_schema(result: Any) -> None:
    assert_shape(result)


@parametrize_scenarios("structured_list")
def test_fits_the_schema_many_times(result: Any) -> None:
    for shape in result:
        assert_shape(shape)
