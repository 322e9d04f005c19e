"""Sockets to listen on: TCP, or a Unix domain socket."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

# A probe of a socket file: whoever listens accepts at once.
PROBE_TIMEOUT_S: Final = 1.0
# Connections that the kernel completes before they are taken; uvicorn's default.
BACKLOG: Final = 2048
REMEDIES: Final = {
    errno.EADDRINUSE: "stop what listens there, or use another port (0 picks a free one)",
    errno.EADDRNOTAVAIL: "this machine has no such address: use 127.0.0.1 or 0.0.0.0",
    errno.EACCES: "use a port of 1024 or above, or a folder that may be written",
    errno.ENOENT: "create the folder",
    socket.EAI_NONAME: "use an address, such as 127.0.0.1 or 0.0.0.0",
}


class AddressTaken(OSError):
    """Another process listens there."""


class HostUnusable(OSError):
    """The host is a name without an address, or an address of another machine."""


@contextmanager
def listen(host: str, port: int, uds: Path | None) -> Iterator[socket.socket]:
    """Bind for a block, before anything is loaded, so that an address in use fails at once.

    Raises `OSError`, `AddressTaken` or `HostUnusable`. The file of a Unix socket is removed at the
    end.
    """
    if uds is None:
        with _listen_tcp(host, port) as listener:
            yield listener
        return
    with _listen_unix(uds) as listener:
        inode = uds.stat().st_ino
        try:
            yield listener
        finally:
            _remove(uds, inode)


def begin_to_listen(listener: socket.socket) -> None:
    """Accept connections from now on. Raises `OSError` if another process listens there.

    Linux lets several sockets be bound to an address, and only one listen on it.
    """
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        raise _explain(format_url(listener, is_tls=False), error) from None


def format_url(listener: socket.socket, *, is_tls: bool, root_path: str = "") -> str:
    """Return the URL of a server; for a Unix socket, `unix:` and its path."""
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    scheme = "https" if is_tls else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{root_path}"


def is_loopback(listener: socket.socket) -> bool:
    """Whether it is a TCP socket for this machine only, whose browsers any web page can use."""
    if listener.family == socket.AF_UNIX:
        return False
    return ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def _listen_tcp(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise _explain(f"{host}:{port}", error) from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _explain(f"{host}:{port}", error) from None
    return listener


def _listen_unix(path: Path) -> socket.socket:
    """Listen on a path; replaces a socket that a server left behind.

    Listens at once, since a socket on which nobody listens counts as left behind.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_abandoned(path):
            path.unlink()
        listener.bind(os.fspath(path))
        listener.listen()
    except OSError as error:
        listener.close()
        raise _explain(path, error) from None
    return listener


def _explain(place: object, error: OSError) -> OSError:
    """Return the error with its remedy."""
    remedy = REMEDIES.get(error.errno or 0)
    cause = error.strerror or error
    return _choose_kind(error)(
        f"cannot listen on {place}: {cause}{f'; {remedy}' if remedy else ''}"
    )


def _choose_kind(error: OSError) -> type[OSError]:
    if error.errno == errno.EADDRINUSE:
        return AddressTaken
    is_hosts = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
    return HostUnusable if is_hosts else OSError


def _is_abandoned(path: Path) -> bool:
    """Whether the path is a socket on which nobody listens."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_TIMEOUT_S)  # a full backlog would block
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return True
    return False


def _remove(path: Path, inode: int) -> None:
    """Remove a socket's file, unless another server has taken its place."""
    with suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()
