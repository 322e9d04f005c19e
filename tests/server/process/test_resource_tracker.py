"""What the resource tracker says of a process that is killed."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import multiprocessing, os, sys
from server.process.resource_tracker import start_resource_tracker
before = os.environ.get("PYTHONWARNINGS")
start_resource_tracker()
assert os.environ.get("PYTHONWARNINGS") == before
lock = multiprocessing.get_context("spawn").Lock()
print(lock._semlock.name, flush=True)
os._exit(1)
"""


@pytest.mark.parametrize("warnings", [None, "default"])
def test_it_removes_what_was_left_without_a_word(warnings: str | None) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    if warnings is not None:
        environ["PYTHONWARNINGS"] = warnings
    # The tracker holds stderr until it has ended.
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environ, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    name = ended.stdout.strip().removeprefix("/")
    assert name
    assert not os.path.exists(f"/dev/shm/sem.{name}")  # noqa: S108
