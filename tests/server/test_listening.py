"""Sockets to listen on."""

import re
import socket
from pathlib import Path

import pytest

from server.listening import begin_to_listen, format_url, is_loopback, listen


def refuse(host: str, port: int, path: Path | None, reason: str) -> None:
    """See that nobody can listen there."""
    with pytest.raises(OSError, match=re.escape(reason)), listen(host, port, path):
        pass


@pytest.mark.parametrize(
    ("host", "is_local", "url"),
    [
        ("127.0.0.1", True, "http://127.0.0.1:"),
        ("localhost", True, "http://"),
        ("0.0.0.0", False, "http://0.0.0.0:"),  # noqa: S104 - for a moment
    ],
)
def test_tcp(host: str, is_local: bool, url: str) -> None:
    with listen(host, 0, None) as listener:
        assert is_loopback(listener) is is_local
        assert format_url(listener, is_tls=False).startswith(url)
        port = listener.getsockname()[1]
        assert format_url(listener, is_tls=True, root_path="/a").endswith(f":{port}/a")
        listener.listen()
        refuse(host, port, None, f"cannot listen on {host}:{port}: Address already in use")


def test_a_unix_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "llava.sock"
    with listen("127.0.0.1", 0, path) as listener:
        assert path.is_socket()
        assert not is_loopback(listener)
        assert format_url(listener, is_tls=False) == f"unix:{path}"
    assert not path.exists()


def test_a_socket_that_a_server_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "llava.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with listen("127.0.0.1", 0, path):
        refuse("127.0.0.1", 0, path, f"cannot listen on {path}: Address already in use")
        assert path.is_socket()


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    refuse("127.0.0.1", 0, path, "Address already in use")
    assert path.read_text() == "mine"
    refuse("127.0.0.1", 0, tmp_path / "none" / "llava.sock", "No such file or directory")
    refuse("127.0.0.1", 0, tmp_path / ("x" * 200), "too long")


def test_only_one_of_two_bound_sockets_listens() -> None:
    with listen("127.0.0.1", 0, None) as first:
        port = first.getsockname()[1]
        with listen("127.0.0.1", port, None) as second:
            begin_to_listen(first)
            with pytest.raises(OSError, match=f"127.0.0.1:{port}: Address already in use; "):
                begin_to_listen(second)
