"""A server in a child process, on a free port, that ends with this process."""

import os
import re
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
from server.terminal.errors import ServerUnreachable

_STOP_LIMIT_S: Final = 30
_MAX_LOG_LINES: Final = 5
_ELSEWHERE: Final = re.compile("LLAVA_(UDS|ROOT_PATH|SSL_.*|ADMIN_.*|LOG_FORMAT)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """The server's URL and its API key, which keeps out other users of this machine."""

    url: str
    api_key: str


@contextmanager
def run_embedded_server(model: str | None) -> Iterator[EmbeddedServer]:
    """Start a server, wait until it is ready, and stop it at the end of the block.

    Its settings come from the environment. Raises `ServerUnreachable` if it does not start.
    """
    api_key = secrets.token_urlsafe()
    with tempfile.TemporaryFile() as log, _run_process(model, api_key, log) as process:
        assert process.stdout is not None  # noqa: S101 - stdout is a pipe
        url = next((url for line in process.stdout if (url := parse_ready_url(line))), None)
        if url is None:
            raise ServerUnreachable(f"the server did not start: {_read_last_lines(log)}")
        # Drain the pipe: a full one would block the server.
        threading.Thread(target=deque, args=(process.stdout, 0), daemon=True).start()
        yield EmbeddedServer(url, api_key)


@contextmanager
def _run_process(
    model: str | None, api_key: str, log: IO[bytes]
) -> Iterator[subprocess.Popen[str]]:
    options = ["--host", "127.0.0.1", "--port", "0", *(["--model", model] if model else [])]
    with subprocess.Popen(  # noqa: S603 - this program itself
        [sys.executable, "-P", "-m", "server.terminal.child_server", str(os.getpid()), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=_build_environment(api_key),
        start_new_session=True,  # Ctrl-C stops an answer, not the server
    ) as process:
        try:
            yield process
        finally:
            _stop(process)


def _build_environment(api_key: str) -> dict[str, str]:
    """Return this process's environment with the key and the path of this package.

    Settings that would change where or how the server listens are left out.
    """
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {
        **{name: text for name, text in os.environ.items() if not _ELSEWHERE.match(name)},
        "LLAVA_API_KEYS": api_key,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_LIMIT_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()


def _read_last_lines(log: IO[bytes]) -> str:
    log.seek(0)
    lines = deque(log, maxlen=_MAX_LOG_LINES)
    return b"".join(lines).decode("utf-8", "replace").strip() or "it said nothing"
