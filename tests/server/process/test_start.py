"""Standard streams that are missing, and signals before the server runs."""

import signal
import subprocess
import sys

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
import signal
from server.process.early_signals import exit_on_signals
exit_on_signals()
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_opened(closed: str) -> None:
    command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, STREAMS]
    assert subprocess.run(command, capture_output=True).returncode == 3


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_start_ends_it(sent: signal.Signals) -> None:
    command = [sys.executable, "-c", WAIT]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(sent)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


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
