"""What systemd hears of the server, at a real socket."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from server.lifecycle import State
from server.process import service_manager
from server.process.service_manager import ServiceManager, take_notify_address


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """Listen as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.setblocking(False)
        yield bound


def receive(listener: socket.socket) -> list[str]:
    """Return all messages that have arrived."""
    messages: list[str] = []
    while True:
        try:
            messages.append(listener.recv(1000).decode())
        except BlockingIOError:
            return messages


def test_states_are_told_once(listener: socket.socket) -> None:
    manager = ServiceManager(listener.getsockname())
    for state in (State.LOADING, State.LOADING, State.READY, State.READY, State.DRAINING):
        manager.report(state)
    told = [message.splitlines()[0] for message in receive(listener)]
    assert told == ["STATUS=loading", "WATCHDOG=1", "READY=1", "STOPPING=1"]


def test_the_server_is_alive_every_few_seconds(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = ServiceManager(listener.getsockname())
    manager.report(State.READY)
    receive(listener)
    manager.report(State.READY)
    assert receive(listener) == []
    monkeypatch.setattr(service_manager, "ALIVE_INTERVAL_S", 0.0)
    manager = ServiceManager(listener.getsockname())
    manager.report(State.READY)
    manager.report(State.READY)
    assert receive(listener).count("WATCHDOG=1") == 2


def test_a_state_that_found_no_room_is_told_later(listener: socket.socket) -> None:
    manager = ServiceManager(listener.getsockname())
    manager.report(State.LOADING)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, suppress(BlockingIOError):
        other.setblocking(False)
        while True:
            other.sendto(b"noise", listener.getsockname())
    manager.report(State.READY)
    assert not any(message.startswith("READY") for message in receive(listener))
    manager.report(State.READY)
    assert receive(listener)[0].startswith("READY=1")


def test_abstract_addresses() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(f"\0llava-test-{os.getpid()}")
        bound.setblocking(False)
        ServiceManager(f"@llava-test-{os.getpid()}").report(State.READY)
        assert receive(bound)[0].startswith("READY=1")


def test_nobody_needs_to_listen(tmp_path: Path) -> None:
    ServiceManager(str(tmp_path / "nobody")).report(State.READY)
    ServiceManager(None).report(State.READY)


def test_children_are_not_told_of_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    assert take_notify_address() == "/run/notify"
    assert take_notify_address() is None
