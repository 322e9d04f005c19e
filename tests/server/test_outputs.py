"""Commands whose output goes nowhere, to a full disk, or may hold ASCII only."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

COMMANDS = (
    ("--help",),
    ("--version",),
    ("--check", "--port", "0"),
    ("chat", "--help"),
    ("keys", "--help"),
    ("models", "list"),
    ("convert", "--help"),
    ("evaluate", "--help"),
)
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.upper().startswith(("LLAVA_", "PYTHONUNBUFFERED"))
}


def run(
    words: Sequence[str], stdout: int, stderr: int = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of the program."""
    return subprocess.run(
        [sys.executable, "-m", "server", *words],
        stdout=stdout,
        stderr=stderr,
        env={**ENVIRONMENT, **variables},
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def unread() -> int:
    """Return a pipe that nobody reads any more, as after `| head`."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize(
    ("words", "unbuffered"), [*((words, "") for words in COMMANDS), (("--check",), "1")]
)
def test_a_reader_that_ends_early_is_no_error(
    words: Sequence[str], unbuffered: str, unread: int
) -> None:
    ended = run(words, unread, PYTHONUNBUFFERED=unbuffered)
    os.close(unread)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("--help",), ("--check", "--port", "0")])
def test_a_full_disk_is_told_in_one_line(words: Sequence[str], unbuffered: str) -> None:
    with open("/dev/full", "wb") as full:
        ended = run(words, full.fileno(), PYTHONUNBUFFERED=unbuffered)
    assert ended.returncode == 1
    assert ended.stderr == "error: cannot write standard output: No space left on device\n"


def test_mistakes_that_nobody_reads_have_their_exit_code(unread: int) -> None:
    assert run(["--prot", "80"], subprocess.PIPE, unread).returncode == 2
    os.close(unread)


@pytest.mark.parametrize("words", COMMANDS)
def test_ascii_is_enough(words: Sequence[str]) -> None:
    ended = run(words, subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.isascii()


def test_what_ascii_lacks_is_escaped() -> None:
    words = ("--check", "--port", "0", "--served-model-name", "größe")
    text = run(words, subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert (text.returncode, text.stderr) == (0, "")
    assert "gr\\xf6\\xdfe" in text.stdout
    as_json = run((*words, "--log-format", "json"), subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert json.loads(as_json.stdout)["settings"]["served_model_name"]["value"] == "größe"
