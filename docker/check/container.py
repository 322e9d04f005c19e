"""An image that runs as by `docker run --read-only --cap-drop ALL`, but by util-linux alone."""

import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from docker.check.image import Image

# What Docker does before it starts the command. $1: the root file system, $2: the volume.
SETUP: Final = """
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$1/sys"
mount --rbind /dev "$1/dev"
mount -t tmpfs -o size=2g,mode=1777,nosuid,nodev,noexec tmpfs "$1/dev/shm"
mount -t tmpfs -o size=1g,mode=1777,nosuid,nodev,noexec tmpfs "$1/tmp"
mount --bind "$2" "$1/cache"
mount -o remount,bind,ro "$1"
ip link set lo up
shift 2
exec "$@"
"""
SETUP_LIMIT_S: Final = 30
UNSHARE: Final = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork"]
UNPRIVILEGED: Final = [
    *("setpriv", "--clear-groups", "--no-new-privs"),
    *("--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"),
]


def find_descendant(process: int, generation: int) -> int:
    """Return a process's first child, or that one's, …; `LookupError` where there is none yet."""
    for _ in range(generation):
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
        process = int(text.split()[0])
    return process


def read_name(process: int) -> str:
    """Return the name of a process's program."""
    return Path(f"/proc/{process}/comm").read_text().strip()


class Container:
    """A running image, with a volume at /cache and a network of its own."""

    def __init__(self, image: Image, cache: Path) -> None:
        self._image = image
        self._process = subprocess.Popen(
            [
                *(*UNSHARE, "--kill-child", "sh", "-ec", SETUP, "sh"),
                *(str(image.root), str(cache)),
                *self._confine(image.command),
            ]
        )

    def __enter__(self) -> Self:
        started = time.monotonic()
        while not self._has_started():
            if time.monotonic() > started + SETUP_LIMIT_S:
                raise TimeoutError("the container's first process did not start")
            time.sleep(0.05)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def init(self) -> int:
        """The number that the container's first process has outside."""
        return find_descendant(self._process.pid, 1)

    @property
    def server(self) -> int:
        """The number that the server has outside: the init's only child."""
        return find_descendant(self._process.pid, 2)

    def execute(self, *command: str, script: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in the container, as `docker exec` does."""
        return subprocess.run(
            self._enter(command), input=script, capture_output=True, text=True, check=False
        )

    def start(self, *command: str, script: str) -> subprocess.Popen[str]:
        """Start a command in the container that reads a script."""
        process = subprocess.Popen(
            self._enter(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(script)
        process.stdin.close()
        return process

    def stop(self) -> None:
        """Send the image's stop signal to the first process, as `docker stop` does."""
        os.kill(self.init, signal.Signals[self._image.stop_signal])

    def suspend_server(self) -> None:
        """Hang the server."""
        os.kill(self.server, signal.SIGSTOP)

    def wait(self, timeout_s: float) -> int:
        """Return the container's exit code."""
        return self._process.wait(timeout_s)

    def _has_started(self) -> bool:
        """Whether all is mounted and the image's command runs."""
        try:
            return read_name(self.init) == self._image.command[0]
        except LookupError:
            return False

    def _enter(self, command: tuple[str, ...]) -> list[str]:
        """Return the command line that runs a command in the container's namespaces."""
        namespaces = ["--mount", "--net", "--pid", "--ipc", "--uts"]
        return ["nsenter", f"--target={self.init}", *namespaces, *self._confine(list(command))]

    def _confine(self, command: list[str]) -> list[str]:
        user = [f"--reuid={self._image.user}", f"--regid={self._image.group}"]
        environment = ["env", "-i", f"--chdir={self._image.folder}", *self._image.variables]
        return [
            *("chroot", str(self._image.root), *UNPRIVILEGED, *user),
            *("--", *environment, *command),
        ]
