"""The texts that regular expressions and choices admit."""

import pytest

from server.structured_outputs.content_format import HEADER, build_choice_rule, build_regex_rule
from tests.server.structured_outputs.sentences import accepts


def admits(rule: str, text: str) -> bool:
    """Whether a rule admits a text."""
    return accepts(f"{HEADER}start: {rule}\n", text)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("a+", "aaa", True),
        ("a+", "aab", False),
        ("a+", "", False),
        ("^a$", "a", True),
        ("a/b", "a/b", True),
        (r"a\/b", "a/b", True),
        (r"https?:\/\/[a-z.]+/", "http://example.org/", True),
        (r"a\\/b", "a\\/b", True),
        ("[/]", "/", True),
        ("a\nb", "a\nb", True),
        ("a\rb", "a\rb", True),
        (r"a\nb", "a\nb", True),
        ("a\\\nb", "a\nb", True),
        (r"\d{2}\.\d", "12.3", True),
        (r"\d{2}\.\d", "12x3", False),
        ("日本|é{2}", "éé", True),
        ('"&~<>#', '"&~<>#', True),
        ("", "", True),
        ("a.c", "a\nc", False),
    ],
)
def test_regular_expressions(pattern: str, text: str, fits: bool) -> None:
    assert admits(build_regex_rule(pattern), text) == fits


@pytest.mark.parametrize(
    "text",
    ["a", "", "a b", 'say "no"', "back\\slash", "a\nb\t", "日本 😀", "</s>", "<image>", "/|#"],
)
def test_choices(text: str) -> None:
    rule = build_choice_rule(["x", text])
    assert admits(rule, text)
    assert admits(rule, "x")
    assert not admits(rule, text + "y")
