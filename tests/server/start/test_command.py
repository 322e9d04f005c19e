"""From the command line to one report of all mistakes."""

import pytest

from server.listening import AddressTaken
from server.start import preparation
from server.start.command import MISTAKEN, main

TAKEN = "cannot listen on 127.0.0.1:8000"


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another process have every address; the real default port is not the test's to take."""

    def listen(*_: object) -> None:
        raise AddressTaken(TAKEN)

    monkeypatch.setattr(preparation, "listen", listen)


def start(words: list[str], variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Start with these words and variables."""
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    return main(words, "llava-server", {})


@pytest.mark.usefixtures("taken")
@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        (["--port", "abc"], {}, "--port abc: must be a whole number"),
        (["--port="], {}, "--port: is empty; leave it out, or give it a value"),
        (["--prot", "9000"], {}, "--prot: no such option; did you mean --port?"),
        (["--host"], {}, "--host: needs a value: --host HOST"),
        ([], {"LLAVA_PORT": "abc"}, "LLAVA_PORT=abc: must be a whole number"),
        ([], {"LLAVA_PORT": ""}, "LLAVA_PORT: is empty; unset it, or give it a value"),
        ([], {"LLAVA_PROT": "9000"}, "LLAVA_PROT: no such setting; did you mean LLAVA_PORT?"),
    ],
)
def test_an_address_that_nobody_asked_for_is_not_tried(
    words: list[str],
    variables: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert start(words, variables, monkeypatch) == MISTAKEN
    assert capsys.readouterr().err == f"llava-server cannot start: {said}\n"


@pytest.mark.usefixtures("taken")
def test_an_address_that_was_asked_for_is_tried_beside_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(["--port", "8000", "--prot", "9000"], {}, monkeypatch) == MISTAKEN
    assert f"--port 8000: {TAKEN}" in capsys.readouterr().err
