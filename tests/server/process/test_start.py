"""Standard streams that are missing, and signals before the server runs."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

STREAMS = """
import os, sys
from server.process.standard_streams import open_missing_streams
open_missing_streams()
print("to standard output")
os.write(2, b"to standard error")
with open(os.devnull) as file:
    sys.exit(file.fileno())
"""
WAIT = """
import os, signal, sys
from pathlib import Path
from server.commands import serve
from server.listening import listen
from server.process.writable_folders import provide_home
from server.start import command

def main(*_):
    del os.environ["HOME"]
    with listen("", 0, Path(sys.argv[1])), provide_home():
        print(os.path.expanduser("~"), flush=True)
        while True:
            signal.pause()

os.path.expanduser = lambda path: os.environ.get("HOME", path)  # as where the user has no name
command.main = main
sys.exit(serve((), "llava-server"))
"""


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_opened(closed: str) -> None:
    command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, STREAMS]
    assert subprocess.run(command, capture_output=True).returncode == 3


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_start_ends_it_and_leaves_nothing(
    sent: signal.Signals, tmp_path: Path
) -> None:
    uds = tmp_path / "socket"
    command = [sys.executable, "-c", WAIT, str(uds)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        home = Path(process.stdout.readline().strip())
        assert home.is_dir()
        assert uds.is_socket()
        process.send_signal(sent)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0
    assert not home.exists()
    assert not uds.exists()


AFTER_PULL = """
import os, signal, sys, time
from model_store.store import find_model
from server.commands import run
from server.start import serving
from server.start.preparation import Preparation

def resolve(reference, on_pull, progress):
    on_pull(reference)
    return find_model("llava-tiny")

def serve(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(20)

serving.resolve_model, Preparation.build_startup = resolve, serve
sys.exit(run(["--model", "org/none@v1", "--port", "0"], "llava-server"))
"""


def test_a_signal_after_a_pull_ends_it_like_any_other() -> None:
    ended = subprocess.run([sys.executable, "-c", AFTER_PULL], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_full_disk_fails_no_print() -> None:
    program = """
from server.process.standard_streams import forgive_full_outputs
forgive_full_outputs()
for _ in range(3):
    print("lost", flush=True)
"""
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-c", program]
        assert subprocess.run(command, stdout=full, stderr=subprocess.STDOUT).returncode == 0
