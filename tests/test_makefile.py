"""`make serve` gives the server what it is given itself, and leaves the rest to the environment."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def read_command(*arguments: str, **environ: str) -> list[str]:
    """Return the options with which `make serve` would start a server."""
    # A make around these tests has its own settings there.
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    run = subprocess.run(
        ["make", "--dry-run", "serve", *arguments],
        cwd=ROOT, env=inherited | environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (command,) = (line for line in run.stdout.splitlines() if "python -m server" in line)
    return command.partition("-m server")[2].split()


def test_nothing_is_given_unless_it_is_asked_for() -> None:
    assert read_command() == []
    environ = {"HOST": "shell", "PORT": "1", "MODEL": "x", "ARGS": "y", "LLAVA_PORT": "9000"}
    assert read_command(**environ) == []


def test_what_is_asked_for_is_given() -> None:
    arguments = ("HOST=0.0.0.0", "PORT=9000", "MODEL=/path", "ARGS=--max-model-len 2048")
    given = "--host 0.0.0.0 --port 9000 --model /path --max-model-len 2048"
    assert read_command(*arguments, HOST="shell") == given.split()
    assert read_command("PORT=9000", HOST="shell") == ["--port", "9000"]
