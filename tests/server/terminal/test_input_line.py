"""What lines, words and texts mean, without a server."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.terminal.commands import COMMANDS
from server.terminal.input_line import (
    Command,
    UserQuestion,
    find_named_file,
    find_named_images,
    read_line,
)
from server.terminal.shell_words import all_words, escaped, first_word, last_word
from server.terminal.text import escape_control_characters, replace_surrogates, to_one_line


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with an image, whose name has a space, and a text."""
    for name in ("a cat.png", "cat.png", "README"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("", UserQuestion((), "")),
        ("  What is this?\n", UserQuestion((), "What is this?")),
        ("/help", Command("/help", "")),
        ("/system  Be brief.\nVery.", Command("/system", "Be brief.\nVery.")),
        ("/hlep me", Command("/hlep", "me")),
        ("/", Command("/", "")),
        ("/no/such.png", Command("/no/such.png", "")),
        ("cat.png", UserQuestion(("cat.png",), "")),
        ("a cat.png", UserQuestion(("a cat.png",), "")),
        ("'a cat.png' Who?", UserQuestion(("a cat.png",), "Who?")),
        ('"a cat.png"  ./cat.png ', UserQuestion(("a cat.png", "./cat.png"), "")),
        (r"a\ cat.png What's this?", UserQuestion(("a cat.png",), "What's this?")),
        ("~/cat.png Who?", UserQuestion(("~/cat.png",), "Who?")),
        ("~nobody-here/cat.png Who?", UserQuestion((), "~nobody-here/cat.png Who?")),
        ("README is what?", UserQuestion((), "README is what?")),
        ("no.png Who?", UserQuestion((), "no.png Who?")),
        ("https://x/y.png Who?", UserQuestion(("https://x/y.png",), "Who?")),
        ("Is it like cat.png?", UserQuestion((), "Is it like cat.png?")),
        ("What's this?", UserQuestion((), "What's this?")),
    ],
)
def test_a_line(line: str, meaning: Command | UserQuestion) -> None:
    assert read_line(line, COMMANDS) == meaning


def test_an_absolute_path_is_no_command(folder: Path) -> None:
    assert read_line(f"{folder}/cat.png Who?", COMMANDS) == UserQuestion(
        (f"{folder}/cat.png",), "Who?"
    )


@pytest.mark.parametrize(
    ("argument", "images"),
    [
        ("a cat.png", ["a cat.png"]),
        ("cat.png 'a cat.png'", ["cat.png", "a cat.png"]),
        ("it's.png", ["it's.png"]),
    ],
)
def test_named_images(argument: str, images: list[str]) -> None:
    assert find_named_images(argument) == images


def test_named_file(folder: Path) -> None:
    assert find_named_file("~/a\\ b.json") == folder / "a b.json"
    assert find_named_file("a b.json") == Path("a b.json")


@given(st.lists(st.text(min_size=1)))
def test_escaped_words_are_read_back(words: list[str]) -> None:
    line = " ".join(map(escaped, words))
    assert all_words(line) == words
    if words:
        assert last_word(line) == words[-1]
        first = first_word(line)
        assert first is not None
        assert first[0] == words[0]


@given(st.text(alphabet=st.characters(codec=None)))
def test_harmless_text_holds_no_control_character(text: str) -> None:
    shown = escape_control_characters(text)
    assert not any(ord(c) < 32 and c not in "\n\t" for c in shown)
    assert not any(0x7F <= ord(c) < 0xA0 for c in shown)
    assert "\n" not in to_one_line(text)
    replace_surrogates(text).encode()


def test_text_that_was_harmless_stays() -> None:
    assert escape_control_characters("Grüße,\n\t世界 🙂") == "Grüße,\n\t世界 🙂"
    assert replace_surrogates("🙂 \ud83d\ude42 \ud800") == "🙂 🙂 \ufffd"
