"""All settings: what is given, else `LLAVA_*` variables, else defaults.

`server.start` reads the command line and explains mistakes.
"""

from typing import Final, TypeVar

from pydantic import field_validator
from pydantic_settings import SettingsConfigDict

from server.settings.access import AccessSettings
from server.settings.engine import EngineSettings
from server.settings.fetch import FetchSettings
from server.settings.images import ImageSettings
from server.settings.limits import LimitSettings
from server.settings.listening import ListeningSettings
from server.settings.model import ModelSettings
from server.settings.telemetry import TelemetrySettings
from server.settings.videos import VideoSettings

T = TypeVar("T")

# Seconds, mebibytes or anything: more overflows in some unit of the system, and means a mistake.
MAX_NUMBER: Final = 2**32


class Settings(
    TelemetrySettings,
    EngineSettings,
    FetchSettings,
    VideoSettings,
    ImageSettings,
    LimitSettings,
    AccessSettings,
    ModelSettings,
    ListeningSettings,
):
    """Serve a LLaVA model over an OpenAI-compatible API.

    Every option is also an environment variable: `--max-images` is `LLAVA_MAX_IMAGES`.
    """

    model_config = SettingsConfigDict(
        env_prefix="LLAVA_",
        env_ignore_empty=True,  # `server.start.variables` tells them
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
    )

    @field_validator("*")
    @classmethod
    def _check_number(cls, value: T) -> T:
        if isinstance(value, int | float) and value > MAX_NUMBER:
            raise ValueError(f"must be at most {MAX_NUMBER}")
        return value
