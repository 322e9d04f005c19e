"""Reports that a server is ready, to a person or in the log."""

import sys

from server.banner import format_curl_command, format_ready_banner
from server.settings import Settings
from server.telemetry.line_sink import LineSink
from server.telemetry.line_writer import LineWriter
from server.telemetry.logs import get_logger

log = get_logger(__name__)


def print_ready(settings: Settings, url: str, model_name: str) -> None:
    """Report that the server is ready: a banner on stdout, or a line of the JSON log."""
    needs_key = settings.needs_key
    if settings.log_format == "json":
        curl = format_curl_command(url, model_name, needs_key=needs_key)
        log.info("ready", url=url, model=model_name, example=curl)
    else:
        banner = format_ready_banner(url, model_name, needs_key=needs_key)
        LineWriter(LineSink(sys.stdout.fileno()).write).write(f"{banner}\n")
