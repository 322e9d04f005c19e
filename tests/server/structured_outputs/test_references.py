"""References by JSON pointer."""

from typing import Any

import pytest

from server.structured_outputs.references import NOWHERE, follow_reference

ROOT: dict[str, Any] = {"a/b": {"~": 1}, "anyOf": ["first", "second"], "ä": 2}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("#", ROOT),
        ("#/a~1b/~0", 1),
        ("#/anyOf/1", "second"),
        ("#/%C3%A4", 2),
        *(
            (f"#/anyOf/{index}", NOWHERE)
            for index in ("-1", "+1", "01", "1_0", " 1", "2", "", "\u0661")
        ),
        ("#/anyOf/0/0", NOWHERE),
        ("#a", NOWHERE),
        (5, NOWHERE),
    ],
)
def test_follow_reference(reference: Any, expected: Any) -> None:
    assert follow_reference(reference, ROOT) is expected
