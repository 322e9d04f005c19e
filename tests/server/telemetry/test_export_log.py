"""Export problems: a line now and then."""

import logging

from structlog.testing import capture_logs

from server.telemetry.export_log import ExportLog


def build_record(text: str) -> logging.LogRecord:
    return logging.LogRecord("opentelemetry.x", logging.ERROR, "", 1, text, (), None)


def test_a_line_in_each_interval_with_the_number_that_was_left_out() -> None:
    now = 100.0
    handler = ExportLog(interval_s=60, clock=lambda: now)
    with capture_logs() as lines:
        for _ in range(3):
            handler.handle(build_record("Failed to export."))
        now = 161.0
        handler.handle(build_record("Queue full."))
    assert [(line["problem"], line["messages_left_out"]) for line in lines] == [
        ("Failed to export.", 0),
        ("Queue full.", 2),
    ]
