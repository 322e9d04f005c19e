"""A library's message becomes a line."""

import pytest

from training.tuning.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n one\ntwo"), "one"),
        (ValueError(), "ValueError"),
        (OSError("\n"), "OSError"),
    ],
)
def test_the_first_line(error: Exception, line: str) -> None:
    assert first_line(error) == line
