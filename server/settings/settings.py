"""All settings: what is given, else `LLAVA_*` variables, else defaults.

`server.start` reads the command line and explains mistakes.
"""

from pydantic_settings import SettingsConfigDict

from server.settings.access import AccessSettings
from server.settings.engine import EngineSettings
from server.settings.fetch import FetchSettings
from server.settings.images import ImageSettings
from server.settings.limits import LimitSettings
from server.settings.listening import ListeningSettings
from server.settings.model import ModelSettings
from server.settings.telemetry import TelemetrySettings


class Settings(
    TelemetrySettings,
    EngineSettings,
    FetchSettings,
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
    )
