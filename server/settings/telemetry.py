"""Telemetry: logs, usage, traces."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_settings import BaseSettings

from server.settings.types import check_collector_url


class TelemetrySettings(BaseSettings):
    """Telemetry: logs, usage, traces."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="lowest level of log lines shown"
    )
    replica_name: Annotated[str, StringConstraints(pattern=r"^[\w.:-]{1,63}$")] | None = Field(
        None,
        description="name of this server among several: a label of all its metrics and a field of"
        " all its log lines, both called replica; default: none",
    )
    usage_log: Path | None = Field(
        None,
        description="file to which a line of JSON is appended for each request, with its key's name"
        " and tokens; - is stdout; default: none",
    )
    log_format: Literal["text", "json"] = Field("text", description="format of log lines")
    otlp_endpoint: Annotated[str, AfterValidator(check_collector_url)] | None = Field(
        None,
        description="OpenTelemetry collector that gets traces, such as http://localhost:4318;"
        " default: the one that OTEL_EXPORTER_OTLP_ENDPOINT names, if any",
    )
    server_timing: bool = Field(
        False, description="report in a header of each response how long its stages took"
    )
