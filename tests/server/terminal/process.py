"""The chat as a process: with pipes, and at a pseudo-terminal."""

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
forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*forkpty:DeprecationWarning")


@dataclass(frozen=True)
class Ended:
    """How a chat ended and what it wrote."""

    code: int
    out: str
    err: str


def ask(*arguments: str | Path, stdin: bytes = b"", **variables: str) -> Ended:
    """Run a chat without a terminal to its end."""
    run = subprocess.run(
        [sys.executable, "-m", "server", "chat", *arguments],
        input=stdin,
        capture_output=True,
        env=ENVIRONMENT | variables,
        timeout=LIMIT_S,
        check=False,
    )
    return Ended(run.returncode, run.stdout.decode(), run.stderr.decode())


class Terminal:
    """A chat at a pseudo-terminal."""

    def __init__(self, process: Any) -> None:
        self.process = process

    def read_until(self, pattern: str) -> str:
        """Return what is shown up to what matches, without what only moves the cursor."""
        self.process.expect(pattern)
        return ESCAPES.sub("", self.process.before + self.process.after)

    def prompted(self) -> str:
        """Wait for the prompt; return what came before."""
        return self.read_until(PROMPT_COMES)

    def send(self, line: str) -> None:
        """Type a line."""
        self.process.send(f"{line}\r")
        self.read_until(PROMPT_GOES)

    def ask(self, line: str) -> str:
        """Type a line; return what is shown until the next prompt."""
        self.send(line)
        return self.prompted()

    def ended(self) -> int:
        """Wait for the end; return the exit code."""
        self.process.expect(pexpect.EOF)
        self.process.close()
        return int(self.process.exitstatus)


@contextmanager
def at_terminal(
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
