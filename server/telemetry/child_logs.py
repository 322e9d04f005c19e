"""Logs of the engine's processes, in the server's format."""

import multiprocessing
import os

from server.telemetry.log_variables import FORMAT, LEVEL, REPLICA
from server.telemetry.logs import LogFormat, configure_logs


def export_log_settings(level: str, log_format: str, replica: str | None) -> None:
    """Tell processes started from now on how to log."""
    if replica is not None:
        os.environ[REPLICA] = replica
    os.environ[LEVEL] = level
    os.environ[FORMAT] = log_format


def configure_child_logs() -> None:
    """Configure the logs of a child process like the server's."""
    log_format: LogFormat = "json" if os.environ.get(FORMAT) == "json" else "text"
    name = multiprocessing.current_process().name
    configure_logs(
        get_child_level(), log_format, replica=os.environ.get(REPLICA) or None, process=name
    )


def get_child_level() -> str:
    """Return the server's log level."""
    return os.environ.get(LEVEL, "info")
