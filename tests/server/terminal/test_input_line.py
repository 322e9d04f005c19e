"""Parsing of input lines and shell words, and escaping of text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.terminal.attachment import open_attachment
from server.terminal.commands import COMMANDS
from server.terminal.errors import UsageError
from server.terminal.input_line import (
    CommandInput,
    QuestionInput,
    parse_attachment_arguments,
    parse_file_argument,
    parse_line,
)
from server.terminal.shell_words import escape_word, parse_last_word, split_first_word, split_words
from server.terminal.text import escape_control_characters, replace_surrogates, to_one_line


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with images, one with a space in its name, a video and a text."""
    for name in ("a cat.png", "cat.png", "clip.mp4", "README"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("", QuestionInput((), "")),
        ("  What is this?\n", QuestionInput((), "What is this?")),
        ("/help", CommandInput("/help", "")),
        ("/system  Be brief.\nVery.", CommandInput("/system", "Be brief.\nVery.")),
        ("/hlep me", CommandInput("/hlep", "me")),
        ("/", CommandInput("/", "")),
        ("/no/such.png", CommandInput("/no/such.png", "")),
        ("cat.png", QuestionInput(("cat.png",), "")),
        ("a cat.png", QuestionInput(("a cat.png",), "")),
        ("'a cat.png' Who?", QuestionInput(("a cat.png",), "Who?")),
        ('"a cat.png"  ./cat.png ', QuestionInput(("a cat.png", "./cat.png"), "")),
        (r"a\ cat.png What's this?", QuestionInput(("a cat.png",), "What's this?")),
        ("~/cat.png Who?", QuestionInput(("~/cat.png",), "Who?")),
        ("~nobody-here/cat.png Who?", QuestionInput((), "~nobody-here/cat.png Who?")),
        ("README is what?", QuestionInput((), "README is what?")),
        ("clip.mp4 cat.png Who?", QuestionInput(("clip.mp4", "cat.png"), "Who?")),
        ("no.png Who?", QuestionInput((), "no.png Who?")),
        ("https://x/y.png Who?", QuestionInput(("https://x/y.png",), "Who?")),
        ("Is it like cat.png?", QuestionInput((), "Is it like cat.png?")),
        ("What's this?", QuestionInput((), "What's this?")),
    ],
)
def test_a_line(line: str, meaning: CommandInput | QuestionInput) -> None:
    assert parse_line(line, COMMANDS) == meaning


def test_an_absolute_path_is_no_command(folder: Path) -> None:
    assert parse_line(f"{folder}/cat.png Who?", COMMANDS) == QuestionInput(
        (f"{folder}/cat.png",), "Who?"
    )


@pytest.mark.parametrize(
    ("argument", "files"),
    [
        ("a cat.png", ["a cat.png"]),
        ("cat.png 'a cat.png'", ["cat.png", "a cat.png"]),
        ("it's.png", ["it's.png"]),
    ],
)
def test_named_files(argument: str, files: list[str]) -> None:
    assert parse_attachment_arguments(argument) == files


def test_named_file(folder: Path) -> None:
    assert parse_file_argument("~/a\\ b.json") == folder / "a b.json"
    assert parse_file_argument("a b.json") == Path("a b.json")


@given(st.lists(st.text(min_size=1)))
def test_escaped_words_are_read_back(words: list[str]) -> None:
    line = " ".join(map(escape_word, words))
    assert split_words(line) == words
    if words:
        assert parse_last_word(line) == words[-1]
        first = split_first_word(line)
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


def test_an_unknown_users_folder_is_told() -> None:
    with pytest.raises(UsageError, match=r"cannot read ~nobody-here/x\.png: No such file"):
        open_attachment("~nobody-here/x.png")
