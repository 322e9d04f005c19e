"""A server that may write nowhere but in `/tmp`, without a home, a user's name, or readers.

As in a container with a read-only root file system and a numeric user; and the disks of its log and
usage log are full. As under `nohup`, it ignores SIGHUP.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.api.running import metric
from tests.faults.phases import wait_until
from tests.faults.probing import CHAT, build_image_request

USER = "12345"
START_LIMIT_S = 240
EXIT_LIMIT_S = 20
OPTIONS = "--port 0 --cpu-kv-cache-gib 1 --enforce-eager true --usage-log /dev/full"
# The user may read all files, wherever Python is installed, and write none.
READS_ALL = "--inh-caps +dac_read_search --ambient-caps +dac_read_search"
SCRIPT = """
set -e
trap '' HUP
mount --make-rprivate /
mount -o bind,remount,ro /
{mounts}
exec setpriv --reuid {user} --regid {user} --clear-groups {caps} \
    env -i PATH=/usr/bin:/bin VLLM_NO_USAGE_STATS=1 {python} -m server {options}
"""
SMALL_SHARED_MEMORY = "mount -t tmpfs -o size=1m,mode=1777 tmpfs /dev/shm"
# The engine compiles there: precompiled headers alone take 150 MiB.
TEMPORARY_FOLDER = "mount -t tmpfs -o size=1g,mode=1777 tmpfs /tmp"


def _can_unshare() -> bool:
    try:
        return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not _can_unshare(), reason="only root may make mount namespaces"
)


def build_command(*mounts: str) -> list[str]:
    """Return the command of a server that sees only these mounts as writable."""
    script = SCRIPT.format(
        mounts="\n".join(mounts),
        user=USER,
        caps=READS_ALL,
        python=sys.executable,
        options=OPTIONS,
    )
    return ["unshare", "--mount", "sh", "-c", script]


@contextmanager
def bare_server() -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """Start the server with its output on a full disk; return it and its URL when it is ready."""
    command = build_command(SMALL_SHARED_MEMORY, TEMPORARY_FOLDER)
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=full, stderr=full, process_group=0
        )
    try:
        wait_until(lambda: process.poll() is not None or is_ready(process), START_LIMIT_S)
        url = find_url(process)
        assert url is not None, process.returncode
        yield process, url
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def find_url(process: "subprocess.Popen[bytes]") -> str | None:
    """Return the URL of the server, whose port nobody could read from its output."""
    try:
        connections = psutil.Process(process.pid).net_connections("tcp")
    except psutil.Error:
        return None
    ports = [each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN]
    return f"http://127.0.0.1:{ports[0]}" if ports else None


def is_ready(process: "subprocess.Popen[bytes]") -> bool:
    """Whether the server answers requests."""
    time.sleep(0.2)
    url = find_url(process)
    try:
        return url is not None and httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False


def fill(process: "subprocess.Popen[bytes]", folder: str) -> None:
    """Leave no space in a folder, as the process sees it."""
    file = Path(f"/proc/{process.pid}/root/{folder}/filling")
    with suppress(OSError), file.open("wb", buffering=0) as filling:
        while True:
            filling.write(bytes(4096))
    assert shutil.disk_usage(file.parent).free == 0


def test_it_serves() -> None:
    with bare_server() as (process, url):
        with httpx.Client(base_url=url, timeout=60) as http:
            http.post(CHAT, json=build_image_request()).raise_for_status()
            for folder in ("tmp", "dev/shm"):
                fill(process, folder)
            process.send_signal(signal.SIGHUP)
            for _ in range(3):
                http.post(CHAT, json=build_image_request()).raise_for_status()
            wait_until(lambda: metric(url, "llava:usage_lines_dropped_total") > 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(EXIT_LIMIT_S) == 0


def test_without_any_folder_to_write_in_it_says_so() -> None:
    run = subprocess.run(build_command(), capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert "mount a tmpfs at /tmp" in run.stderr
    assert "Traceback" not in run.stderr
    assert not Path("~").exists()
