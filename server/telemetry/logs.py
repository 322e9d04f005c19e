"""Log lines as text or JSON, in one format for ours, uvicorn's and the engine's."""

import logging
import os
import sys
import threading
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Final, Literal

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from server.telemetry.line_sink import LineSink
from server.telemetry.line_writer import LineWriter

LogFormat = Literal["text", "json"]

# Levels of libraries and of the engine for each of ours: they log more only when debugging.
LIBRARY_LEVELS: Final[Mapping[str, str]] = {
    "debug": "INFO",
    "info": "WARNING",
    "warning": "WARNING",
    "error": "ERROR",
}
ENGINE_LEVELS: Final[Mapping[str, str]] = {
    "debug": "DEBUG",
    "info": "ERROR",
    "warning": "ERROR",
    "error": "ERROR",
}
# Seconds that the last lines may take if their reader has stopped.
DRAIN_TIMEOUT_S: Final = 1.0
# Text of our code or a library, which may hold line breaks and colours.
OWN_TEXT: Final = frozenset({"event", "exception", "stack"})

_SHARED: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class QueuedHandler(logging.StreamHandler[LineWriter]):
    """Hands lines to a thread that writes them, and logs how many were lost."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line soon."""
        super().emit(record)
        if num_lost := self.stream.take_num_lost():
            get_logger(__name__).warning(
                "log lines lost: their output is full or closed", lines=num_lost
            )

    def close(self) -> None:
        """Wait a moment until all lines are written; `logging.shutdown` calls this."""
        self.stream.drain(DRAIN_TIMEOUT_S)
        super().close()


def escape_controls(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Escape unprintable characters in values: clients' names must not control a terminal."""
    for name, value in line.items():
        if isinstance(value, str) and name not in OWN_TEXT and not value.isprintable():
            line[name] = "".join(map(_escape, value))
    return line


def _escape(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def configure_logs(
    level: str,
    log_format: LogFormat,
    *,
    replica: str | None = None,
    process: str | None = None,
) -> None:
    """Send every log line of this process to stderr in one format, warnings and crashes included.

    `level` is that of our code; libraries log less. In all lines, `replica` names the server among
    several, and `process` a child process.
    """
    names = {"replica": replica, "process": process}
    known = {field: name for field, name in names.items() if name is not None}
    shared: list[Processor] = [*_SHARED, partial(_add_names, known)]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _build_handler(is_child=process is not None)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderer(log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LIBRARY_LEVELS[level])
    logging.getLogger("server").setLevel(level.upper())
    logging.getLogger("py.warnings").setLevel("WARNING" if level == "debug" else "ERROR")
    logging.captureWarnings(True)
    adopt_engine_logger(level)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


def adopt_engine_logger(level: str) -> None:
    """Route vLLM's lines like ours; vLLM gives its logger a handler on import, and later."""
    logger = logging.getLogger("vllm")
    logger.handlers.clear()
    logger.propagate = True
    own_level = os.environ.get("VLLM_LOGGING_LEVEL", "").upper()
    is_known = own_level in logging.getLevelNamesMapping()
    logger.setLevel(own_level if is_known else ENGINE_LEVELS[level])


def _build_handler(*, is_child: bool) -> logging.Handler:
    """Return the handler; a child process writes at once, since it may end at any time."""
    if is_child:
        return logging.StreamHandler(sys.stderr)
    return QueuedHandler(LineWriter(LineSink(sys.stderr.fileno()).write))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _renderer(log_format: LogFormat) -> list[Processor]:
    if log_format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [
        escape_controls,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Rich tracebacks would show local variables, prompts and images among them.
            exception_formatter=structlog.dev.plain_traceback,
        ),
    ]


def _add_names(names: Mapping[str, str], _: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Name the replica and the child process that a line comes from."""
    return {**line, **names}


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Log an exception that ends the process."""
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger("server").critical(
            "uncaught exception", exc_info=(kind, error, traceback)
        )


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    """Log an exception that ends a thread."""
    if args.exc_value is not None:
        _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    """Log an exception that nobody could catch, such as one of a destructor."""
    if args.exc_value is not None:
        logging.getLogger("server").error(
            args.err_msg or "exception ignored",
            exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
        )
