"""A child process does not outlive its parent, however that ends."""

import os
import select
import signal
import subprocess
import sys
from typing import IO

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux signals a child when its parent dies"
)

PR_GET_PDEATHSIG = 2
WITHOUT_PARENT = f"""
import ctypes
from server.workers.parent_death import end_with_parent
end_with_parent()
signal = ctypes.c_int(-1)
ctypes.CDLL(None).prctl({PR_GET_PDEATHSIG}, ctypes.byref(signal))
print(signal.value)
"""


def is_closed(output: IO[bytes], timeout_s: float) -> bool:
    """Whether all writers of a pipe close it within `timeout_s`."""
    return bool(select.select([output], [], [], timeout_s)[0]) and output.read() == b""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent(ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.server.workers.parent_and_child"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        assert not is_closed(parent.stdout, 0.2)
        parent.send_signal(ending)
        assert is_closed(parent.stdout, 30)


def test_a_process_that_multiprocessing_did_not_start_is_left_alone() -> None:
    """The server itself may outlive the shell that started it."""
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_PARENT],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout == "0\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make process namespaces")
def test_children_of_process_one_survive() -> None:
    """In a container the server is process 1."""
    namespace = ["unshare", "--pid", "--fork", "--kill-child"]
    command = [*namespace, sys.executable, "-m", "tests.server.workers.parent_and_child"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout is not None
            assert select.select([parent.stdout], [], [], 20)[0]
            assert parent.stdout.readline() == b"ready\n"
        finally:
            parent.kill()
