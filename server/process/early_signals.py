"""Signals that arrive before the server runs, or after it has."""

import os
import signal


def exit_on_signals() -> None:
    """End the process at once, with exit code 0, on SIGINT and SIGTERM.

    There is nothing to end yet. Without a handler, Python would print a traceback, and process 1 of
    a container would ignore SIGTERM.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: os._exit(0))
