"""Signals that arrive before the server runs."""

import os
import signal
from typing import Final

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stopped(SystemExit):
    """A signal asked the process to end, with exit code 0."""


def stop_on_signals() -> None:
    """Raise `Stopped` in the main thread on SIGINT and SIGTERM, so that blocks clean up.

    A second signal ends the process at once. Without a handler, Python would print a traceback, and
    process 1 of a container would ignore SIGTERM.
    """
    for each in STOP_SIGNALS:
        signal.signal(each, _stop)


def ignore_hangups() -> None:
    """Ignore SIGHUP, which asks for a reload of what is not loaded yet."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _stop(*_: object) -> None:
    for each in STOP_SIGNALS:
        signal.signal(each, lambda *_: os._exit(0))
    raise Stopped(0)
