"""A server of one's own: a child process on a free port, which ends with this process."""

import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from server.banner import parse_ready_url
from server.terminal.errors import NoServer

_STOP_LIMIT_S: Final = 30
_LINES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """Where the server is, and the key that it asks for: others on this machine have none."""

    url: str
    api_key: str


@contextmanager
def run_embedded_server(model: str | None) -> Iterator[EmbeddedServer]:
    """Start a server and wait until it is ready; end it at the end of the block.

    Its settings come from the environment, as ever. Raises `NoServer` where it does not start.
    """
    api_key = secrets.token_urlsafe()
    with tempfile.TemporaryFile() as log, _server_process(model, api_key, log) as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        url = next((url for line in process.stdout if (url := parse_ready_url(line))), None)
        if url is None:
            raise NoServer(f"the server did not start: {_last_lines(log)}")
        # Read on, so that nothing the server prints can fill the pipe and stop it.
        threading.Thread(target=deque, args=(process.stdout, 0), daemon=True).start()
        yield EmbeddedServer(url, api_key)


@contextmanager
def _server_process(
    model: str | None, api_key: str, log: IO[bytes]
) -> Iterator[subprocess.Popen[str]]:
    options = ["--host", "127.0.0.1", "--port", "0", *(["--model", model] if model else [])]
    with subprocess.Popen(  # noqa: S603 - this program itself
        [sys.executable, "-P", "-m", "server.terminal.child_server", str(os.getpid()), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=_environment(api_key),
        start_new_session=True,  # Ctrl-C stops an answer, not the server
    ) as process:
        try:
            yield process
        finally:
            _end(process)


def _environment(api_key: str) -> dict[str, str]:
    """Return this process's own with the key, and with the place of this very package."""
    places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "LLAVA_API_KEYS": api_key,
        "PYTHONPATH": os.pathsep.join(filter(None, places)),
    }


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_LIMIT_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()


def _last_lines(log: IO[bytes]) -> str:
    log.seek(0)
    lines = deque(log, maxlen=_LINES_SHOWN)
    return b"".join(lines).decode("utf-8", "replace").strip() or "it said nothing"
