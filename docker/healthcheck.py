"""The images' health check: asks the server, and ends one that no longer answers.

Docker only marks a container unhealthy; it restarts one that exits. So the third check in a row
without an answer kills the server, if it has answered before, and the restart policy does the rest.
It asks the admin port where there is one: the other port may be full of connections.
"""

import json
import os
import signal
import socket
import ssl
import sys
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 4
MAX_FAILURES: Final = 3
# Settings that say where the server listens.
DEFAULTS: Final = {
    "host": "127.0.0.1",
    "port": "8000",
    "uds": "",
    "ssl-certfile": "",
    "ssl-cert-reqs": "none",
    "admin-host": "127.0.0.1",
    "admin-port": "",
}
CERTIFICATE_REQUIRED: Final = ("required", "2")
ANY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 - asked at the loopback address
# The server's process, when it started, and the checks without an answer since its last one.
RECORD: Final = Path("/tmp/llava-server-health")  # noqa: S108 - the container's own


class UnixConnection(HTTPConnection):
    """HTTP over a Unix domain socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def find_server() -> Path | None:
    """Return the server's folder in /proc: of the processes that run it, the oldest."""
    folders = [path for path in Path("/proc").glob("[0-9]*") if is_server(path)]
    return min(folders, key=lambda path: int(path.name), default=None)


def is_server(process: Path) -> bool:
    """Whether a process runs `python -m server` or `llava-server`."""
    words = read_command(process)
    return words[1:3] == ["-m", "server"] or any(
        Path(word).name == "llava-server" for word in words[:2]
    )


def read_command(process: Path) -> list[str]:
    """Read a process's command line; empty if it has ended or is another user's."""
    with suppress(OSError):
        return (process / "cmdline").read_text(errors="replace").split("\0")
    return []


def parse_listener(command: list[str]) -> Namespace:
    """Read where the server listens, as it does: options first, then variables."""
    parser = ArgumentParser(allow_abbrev=False)
    for option, default in DEFAULTS.items():
        variable = f"LLAVA_{option.replace('-', '_').upper()}"
        parser.add_argument(f"--{option}", default=os.environ.get(variable, default))
    return parser.parse_known_args(command)[0]


def connect(listener: Namespace) -> HTTPConnection:
    """Return a connection to the server, which is not open yet."""
    if has_admin_port(listener):
        return HTTPConnection(
            find_address(listener.admin_host), int(listener.admin_port), timeout=TIMEOUT_S
        )
    if listener.uds:
        return UnixConnection(listener.uds)
    host = find_address(listener.host)
    if listener.ssl_certfile:
        context = ssl.create_default_context()
        context.check_hostname = False  # certificates rarely name the address
        context.verify_mode = ssl.CERT_NONE
        return HTTPSConnection(host, int(listener.port), timeout=TIMEOUT_S, context=context)
    return HTTPConnection(host, int(listener.port), timeout=TIMEOUT_S)


def has_admin_port(listener: Namespace) -> bool:
    """Whether there is an admin port whose number is known: 0 takes a free one."""
    return listener.admin_port not in ("", "0")


def find_address(host: str) -> str:
    """Return the address at which to ask a server that listens on `host`."""
    return "127.0.0.1" if host in ANY_ADDRESS else host


def ask(listener: Namespace) -> str:
    """Return the status in the answer of /health: alive, failed, stuck; or what else it answered.

    Raises `OSError` or `HTTPException` without an answer.
    """
    connection = connect(listener)
    try:
        if needs_certificate(listener):
            return shake_hands(connection)
        connection.request("GET", "/health")
        response = connection.getresponse()
        return read_status(response.read()) or str(response.status)
    except ConnectionResetError:  # a server without a free file does that
        return "closed the connection"
    finally:
        connection.close()


def needs_certificate(listener: Namespace) -> bool:
    """Whether the port that is asked answers only clients with a certificate."""
    return not has_admin_port(listener) and listener.ssl_cert_reqs in CERTIFICATE_REQUIRED


def shake_hands(connection: HTTPConnection) -> str:
    """Return `alive` where the server's loop takes part in TLS' handshake, if only by an alert."""
    with suppress(ssl.SSLError):
        connection.connect()
    return "alive"


def read_status(body: bytes) -> str:
    """Return the status that a body of /health has; empty for any other."""
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(body)["status"])
    return ""


def identify(server: Path) -> str:
    """Return the process's number and its start, in the kernel's ticks."""
    return f"{server.name} {(server / 'stat').read_text().rpartition(')')[2].split()[19]}"


def count_failure(server: str) -> int:
    """Count a check without an answer; 0 for a server that has never answered."""
    with suppress(OSError, ValueError):
        known, failures = RECORD.read_text().rsplit(" ", 1)
        if known == server:
            record(server, int(failures) + 1)
            return int(failures) + 1
    return 0


def record(server: str, failures: int) -> None:
    """Remember the checks without an answer, if there is anywhere to write."""
    with suppress(OSError):
        RECORD.write_text(f"{server} {failures}")


def check(server: Path) -> int:
    """Check once; kill a server that has stopped answering. Return 0 if it is alive.

    A server that refuses the check for want of capacity is alive.
    """
    identity = identify(server)
    try:
        status = ask(parse_listener(read_command(server)))
    except (OSError, HTTPException) as error:
        status = f"no answer: {error!r}"
    hangs = status == "stuck" or status.startswith("no answer")
    print(f"/health: {status}")
    if hangs:
        count_and_kill(server, identity)
    else:
        record(identity, 0)
    return int(hangs or status == "failed")


def count_and_kill(server: Path, identity: str) -> None:
    """Count a check of a server that hangs, and kill it at the last."""
    if count_failure(identity) >= MAX_FAILURES:
        print(f"killing process {server.name}")
        os.kill(int(server.name), signal.SIGKILL)


def main() -> int:
    """Check the server of this container; return 0 if it is alive."""
    server = find_server()
    return check(server) if server else 1


if __name__ == "__main__":
    sys.exit(main())
