"""The images' health check, with real processes and sockets."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

import docker.healthcheck as healthcheck
from server.settings import Settings
from server.tls import build_tls_options
from tests.server.api.edge.running import build_request, running_edge, wait_until
from tests.server.certificate import write_certificate

# Answers /health at a Unix domain socket with what a file says; its command line is the server's.
SERVER = """
import http.server, socketserver, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(open("answer", "rb").read())
    def log_message(self, *_):
        pass
with socketserver.UnixStreamServer(sys.argv[2], Answer) as server:
    print("listening", flush=True)
    server.serve_forever()
"""


class NotFound(BaseHTTPRequestHandler):
    """Answers 404."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.end_headers()


@pytest.fixture(autouse=True)
def _test_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthcheck, "RECORD", tmp_path / "record")
    monkeypatch.setattr(healthcheck, "TIMEOUT_S", 0.5)


@contextmanager
def running(folder: Path) -> Iterator[int]:
    """Run something that looks like the server to the health check; yield its process id."""
    say(folder, "alive")
    (folder / "server").mkdir()
    (folder / "server" / "__main__.py").write_text(SERVER)
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "--uds", str(folder / "socket")],
        cwd=folder,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"listening\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def say(folder: Path, status: str) -> None:
    """Have the server say this of itself."""
    (folder / "answer").write_text(json.dumps({"status": status}))


def check(pid: int) -> int:
    """Check that process."""
    return healthcheck.check(Path(f"/proc/{pid}"))


def is_killed(pid: int) -> bool:
    """Whether a child was killed; waits a moment, since signals take one."""
    for _ in range(100):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.WTERMSIG(status) == signal.SIGKILL
        time.sleep(0.01)
    return False


def test_a_server_that_answers_is_healthy(tmp_path: Path) -> None:
    with running(tmp_path) as pid:
        assert check(pid) == 0


def test_a_port_is_asked() -> None:
    with HTTPServer(("127.0.0.1", 0), NotFound) as server:
        Thread(target=server.handle_request).start()
        listener = healthcheck.parse_listener(["--port", str(server.server_port)])
        assert healthcheck.ask(listener) == "404"


def test_the_admin_port_is_asked_where_there_is_one() -> None:
    """The other port may be full of connections, or ask for clients' certificates."""
    with HTTPServer(("127.0.0.1", 0), NotFound) as server:
        Thread(target=server.handle_request).start()
        options = ["--port", "1", "--ssl-certfile", "x", "--ssl-cert-reqs", "required"]
        admin = ["--admin-host", "0.0.0.0", "--admin-port", str(server.server_port)]  # noqa: S104
        assert healthcheck.ask(healthcheck.parse_listener(options + admin)) == "404"


def test_a_server_that_is_full_is_alive() -> None:
    with running_edge(max_connections=1) as edge, edge.connect() as busy:
        busy.send(build_request("/wait"))
        listener = healthcheck.parse_listener(["--port", str(edge.address[1])])
        wait_until(lambda: healthcheck.ask(listener) == "503")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_asks_for_certificates_is_alive(
    tmp_path: Path, version: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssl.SSLContext, "maximum_version", version)
    files = write_certificate(tmp_path)
    required = {"ssl_ca_certs": files["ssl_certfile"], "ssl_cert_reqs": "required"}
    tls = build_tls_options(Settings.model_validate({**files, **required}))
    with running_edge(tls=tls) as edge:
        options = ["--port", str(edge.address[1]), "--ssl-certfile", files["ssl_certfile"]]
        listener = healthcheck.parse_listener([*options, "--ssl-cert-reqs", "required"])
        assert healthcheck.ask(listener) == "alive"
    with pytest.raises(OSError, match="refused"):
        healthcheck.ask(listener)


def test_a_server_that_failed_is_unhealthy_and_ends_by_itself(tmp_path: Path) -> None:
    with running(tmp_path) as pid:
        assert check(pid) == 0
        say(tmp_path, "failed")
        assert [check(pid) for _ in range(4)] == [1, 1, 1, 1]
        assert not is_killed(pid)


def test_a_server_that_stops_answering_is_killed_at_the_third_check(tmp_path: Path) -> None:
    with running(tmp_path) as pid:
        assert check(pid) == 0
        os.kill(pid, signal.SIGSTOP)
        assert [check(pid), check(pid)] == [1, 1]
        os.kill(pid, signal.SIGCONT)
        assert check(pid) == 0
        os.kill(pid, signal.SIGSTOP)
        assert [check(pid), check(pid), check(pid)] == [1, 1, 1]
        assert is_killed(pid)


def test_a_server_whose_loop_hangs_is_killed_at_the_third_check(tmp_path: Path) -> None:
    """Its admin port answers still."""
    with running(tmp_path) as pid:
        assert check(pid) == 0
        say(tmp_path, "stuck")
        assert [check(pid), check(pid), check(pid)] == [1, 1, 1]
        assert is_killed(pid)


def test_a_server_that_has_not_answered_yet_is_left_alone(tmp_path: Path) -> None:
    with running(tmp_path) as pid:
        os.kill(pid, signal.SIGSTOP)
        assert [check(pid) for _ in range(4)] == [1, 1, 1, 1]
        assert not is_killed(pid)


def test_the_server_is_found_by_its_command_line(tmp_path: Path) -> None:
    with running(tmp_path) as pid:
        assert healthcheck.is_server(Path(f"/proc/{pid}"))
        assert not healthcheck.is_server(Path(f"/proc/{os.getpid()}"))
        assert healthcheck.find_server() is not None


@pytest.mark.parametrize(
    ("options", "variables", "expected"),
    [
        ([], {}, ("127.0.0.1", "8000", "", "")),
        (["--port", "9"], {"LLAVA_PORT": "8"}, ("127.0.0.1", "9", "", "")),
        (["--port=9", "--model", "x"], {}, ("127.0.0.1", "9", "", "")),
        ([], {"LLAVA_PORT": "8", "LLAVA_HOST": "::"}, ("::", "8", "", "")),
        (["--uds", "/s"], {}, ("127.0.0.1", "8000", "/s", "")),
        ([], {"LLAVA_SSL_CERTFILE": "/c"}, ("127.0.0.1", "8000", "", "/c")),
    ],
)
def test_the_listener_is_read_as_the_server_does(
    options: list[str],
    variables: dict[str, str],
    expected: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    listener = healthcheck.parse_listener(["python", "-m", "server", *options])
    assert (listener.host, listener.port, listener.uds, listener.ssl_certfile) == expected
