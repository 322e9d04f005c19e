"""A chat that starts its own server, and ends it."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from server.terminal.options import DEFAULT_URL
from tests.api.pictures import circle_and_square, encoded
from tests.server.terminal.process import ignore_fork_warning, open_terminal, run_chat

pytestmark = ignore_fork_warning
EAGER = {"LLAVA_ENFORCE_EAGER": "true", "LLAVA_CPU_KV_CACHE_GIB": "1"}
END_LIMIT_S = 30


def find_descendants(pid: int) -> set[int]:
    """Return the descendants of a process."""
    found = {pid}
    for _ in range(5):
        for children in (c for p in found for c in Path(f"/proc/{p}").glob("task/*/children")):
            found = found | {int(child) for child in children.read_text().split()}
    return found - {pid}


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_the_server_ends_with_the_chat(end: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "it.png").write_bytes(encoded(circle_and_square()))
    with open_terminal("--start", folder=tmp_path, **EAGER) as chat:
        chat.read_until("starting a server")
        if end == signal.SIGKILL:
            chat.wait_for_prompt()
            assert "red" in chat.ask("it.png What color is the circle?").split()
            chat.process.sendintr()  # which is no reason for the server to go
            chat.wait_for_prompt()
            assert "green" not in chat.ask("it.png What color is the square?")
        processes = find_descendants(chat.process.pid)
        assert processes
        os.kill(chat.process.pid, end)
        deadline = time.monotonic() + END_LIMIT_S
        while any(map(is_alive, processes)):
            assert time.monotonic() < deadline, processes
            time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_server_that_cannot_start_says_why() -> None:
    result = run_chat("Hello?", "--start", "--model", "no-such-model")
    assert (result.code, result.out) == (3, "")
    assert (
        "error: the server did not start: llava-server cannot start: --model no-such-" in result.err
    )


def test_whether_to_start_one_is_asked() -> None:
    place = DEFAULT_URL.removeprefix("http://").split(":")
    with socket.socket() as probe:
        if probe.connect_ex((place[0], int(place[1]))) == 0:
            pytest.skip("a server listens at the default URL")
    with open_terminal() as chat:
        chat.read_until(r"Start one here, for this chat\? \[Y/n\]: ")
        chat.process.send("n\r")
        assert chat.wait_for_exit() == 3
    with open_terminal() as chat:
        chat.read_until(r"Start one here, for this chat\? \[Y/n\]: ")
        chat.process.sendintr()
        assert chat.wait_for_exit() == 130
