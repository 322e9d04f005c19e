"""Reports to the server the error with which an engine process failed to start.

vLLM itself reports only that the process ended. The report is a file in the server's memory, which
its children reach below `/proc`.
"""

import logging
import os
import sys
from typing import Final

from server.engine.start_failure import describe_error

VARIABLE: Final = "_LLAVA_ENGINE_REPORT"
MAX_BYTES: Final = 65536
# vLLM logs this for a process that could not start.
FAILED_TO_START: Final = "failed to start"
# These errors reach the server, which logs each itself in one line.
REPORTED_MESSAGES: Final = (FAILED_TO_START, "Invocation of add_lora method failed")


class FailureReport:
    """The report of the engine's processes, on the server's side."""

    def __init__(self) -> None:
        """Open the report; processes started from now on find it."""
        self._file = os.memfd_create("engine-report")
        os.environ[VARIABLE] = f"/proc/{os.getpid()}/fd/{self._file}"

    def read(self) -> str | None:
        """Return the type and message of the error, or None where no process reported one."""
        return os.pread(self._file, MAX_BYTES, 0).decode("utf-8", "replace") or None

    def close(self) -> None:
        """Free the memory."""
        os.environ.pop(VARIABLE, None)
        os.close(self._file)


class FailureReporter(logging.Handler):
    """Reports the first error with which vLLM says that a process failed to start."""

    def __init__(self, path: str, *, is_silent: bool) -> None:
        """`is_silent` hides the traceback that multiprocessing prints next."""
        super().__init__()
        self._path = path
        self._is_silent = is_silent

    def emit(self, record: logging.LogRecord) -> None:
        """Report a record's exception."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None or FAILED_TO_START not in record.getMessage():
            return
        write_report(self._path, describe_error(error))
        if self._is_silent:
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends


def report_start_failures(*, is_silent: bool) -> None:
    """Report the error if this process fails to start; `is_silent` hides its traceback."""
    path = os.environ.get(VARIABLE)
    if path is None:
        return
    logging.getLogger("vllm").addHandler(FailureReporter(path, is_silent=is_silent))
    if is_silent:
        for handler in logging.getLogger().handlers:
            handler.addFilter(_is_unreported)


def _is_unreported(record: logging.LogRecord) -> bool:
    """Whether the server does not report this error itself."""
    return not any(each in record.getMessage() for each in REPORTED_MESSAGES)


def write_report(path: str, text: str) -> None:
    """Write a report unless there is one."""
    with open(path, "r+b") as file:
        if not file.read(1):
            file.seek(0)
            file.write(text.encode("utf-8", "replace")[:MAX_BYTES])
