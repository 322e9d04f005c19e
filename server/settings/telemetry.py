"""What the server tells of itself."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class TelemetrySettings(BaseSettings):
    """What the server tells of itself."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe log lines shown"
    )
    usage_log: Path | None = Field(
        None,
        description="file to which a line of JSON is appended for each request, with its key's name"
        " and tokens; - is stdout; default: none",
    )
    log_format: Literal["text", "json"] = Field("text", description="how log lines look")
