"""What the server tells of itself."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class TelemetrySettings(BaseSettings):
    """What the server tells of itself."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe log lines shown"
    )
    log_format: Literal["text", "json"] = Field("text", description="how log lines look")
