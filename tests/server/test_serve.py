"""Signals that arrive while the server closes."""

import signal
from collections.abc import Iterator

import pytest
import uvicorn

from server.api.requests_in_flight import RequestsInFlight
from server.app import create_app
from server.checkpoint.config import Checkpoint
from server.keys.key_ring import KeyRing
from server.lifecycle import Lifecycle
from server.process.early_signals import STOP_SIGNALS, stop_on_signals
from server.serve import Server
from server.settings import Settings


@pytest.fixture
def _early_signals() -> Iterator[None]:
    """Handle signals as before the server runs."""
    before = {each: signal.getsignal(each) for each in STOP_SIGNALS}
    stop_on_signals()
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("_early_signals")
def test_a_signal_after_the_end_does_not_change_the_exit_code(checkpoint: Checkpoint) -> None:
    lifecycle = Lifecycle(1)
    app = create_app(Settings(), checkpoint, lifecycle, lambda _: None, KeyRing())
    server = Server(uvicorn.Config(app), app.state.runtime, RequestsInFlight(app))
    with server.capture_signals():
        lifecycle.fail("the engine died")
    for each in STOP_SIGNALS:
        signal.raise_signal(each)
    assert lifecycle.exit_code == 1
