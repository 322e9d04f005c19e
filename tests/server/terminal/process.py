"""Runs the chat as a process, with pipes or at a pseudo-terminal."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest

ROOT = Path(__file__).parents[3]
LIMIT_S = 60
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if not k.startswith("LLAVA_")},
    "TERM": "xterm-256color",
    "PYTHONPATH": str(ROOT),  # tests start it in other folders, too
    "PROMPT_TOOLKIT_NO_CPR": "1",  # nobody here knows where the cursor is
}
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r|\x08")
PROMPT_COMES = re.escape("\x1b[?2004h")
PROMPT_GOES = re.escape("\x1b[?2004l")

# Python 3.12 warns of the fork to come, which here ends in exec at once.
ignore_fork_warning = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded.*forkpty:DeprecationWarning"
)


@dataclass(frozen=True)
class ChatResult:
    """The exit code and the output of a chat."""

    code: int
    out: str
    err: str


def run_chat(*arguments: str | Path, stdin: bytes = b"", **variables: str) -> ChatResult:
    """Run a chat without a terminal until it exits."""
    run = subprocess.run(
        [sys.executable, "-m", "server", "chat", *arguments],
        input=stdin,
        capture_output=True,
        env=ENVIRONMENT | variables,
        timeout=LIMIT_S,
        check=False,
    )
    return ChatResult(run.returncode, run.stdout.decode(), run.stderr.decode())


class Terminal:
    """A chat at a pseudo-terminal."""

    def __init__(self, process: Any) -> None:
        self.process = process

    def read_until(self, pattern: str) -> str:
        """Return the output up to a match, without escape sequences."""
        self.process.expect(pattern)
        return ESCAPES.sub("", self.process.before + self.process.after)

    def wait_for_prompt(self) -> str:
        """Wait for the prompt; return the output before it."""
        return self.read_until(PROMPT_COMES)

    def send(self, line: str) -> None:
        """Type a line."""
        self.process.send(f"{line}\r")
        self.read_until(PROMPT_GOES)

    def ask(self, line: str) -> str:
        """Type a line; return the output until the next prompt."""
        self.send(line)
        return self.wait_for_prompt()

    def wait_for_exit(self) -> int:
        """Wait for the exit; return the exit code."""
        self.process.expect(pexpect.EOF)
        self.process.close()
        return int(self.process.exitstatus)


@contextmanager
def open_terminal(
    *arguments: str | Path, folder: Path = ROOT, **variables: str
) -> Iterator[Terminal]:
    """Start a chat at a terminal; end it at the end of the block."""
    process = pexpect.spawn(
        sys.executable,
        ["-m", "server", "chat", *map(str, arguments)],
        cwd=folder,
        env=ENVIRONMENT | variables,
        encoding="utf-8",
        timeout=LIMIT_S,
        dimensions=(40, 200),
    )
    try:
        yield Terminal(process)
    finally:
        process.close(force=True)
