"""Log lines as text or JSON, one format for ours, uvicorn's and the engine's."""

import logging
import sys
from typing import Final, Literal

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from server.telemetry.line_writer import LineWriter

LogFormat = Literal["text", "json"]

# Seconds that the last lines may take where their reader has stopped.
DRAIN_TIMEOUT_S: Final = 1.0
# What our code or a library wrote, in lines and colours.
OWN_TEXT: Final = frozenset({"event", "exception", "stack"})

_SHARED: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class QueuedHandler(logging.StreamHandler[LineWriter]):
    """Hands lines to a thread that writes them, and says how many of them were lost."""

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
    """Escape what is not printable in values: clients' names must not steer a terminal."""
    for name, value in line.items():
        if isinstance(value, str) and name not in OWN_TEXT and not value.isprintable():
            line[name] = "".join(map(_escape, value))
    return line


def _escape(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def configure_logs(level: str, log_format: LogFormat) -> None:
    """Send every log line of this process to stderr in one format."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = QueuedHandler(LineWriter(sys.stderr.fileno()))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderer(log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("server").setLevel(level.upper())


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
