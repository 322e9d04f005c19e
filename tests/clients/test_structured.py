"""Structured output, as the clients' own types accept it."""

from typing import Any

from tests.clients.answers import is_shape
from tests.clients.asked import asked


@asked(
    "structured",
    "structured_by_output",
    "structured_by_tool",
    "structured_image",
    "structured_streamed",
    "structured_strict",
    "response_structured",
)
def test_fits_the_schema(result: Any) -> None:
    is_shape(result)


@asked("structured_list")
def test_fits_the_schema_many_times(result: Any) -> None:
    for shape in result:
        is_shape(shape)
