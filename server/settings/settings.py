"""All settings: command line first, then `LLAVA_*` variables, then defaults."""

from typing import Self

from pydantic import model_validator
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
        frozen=True,
        extra="forbid",
        cli_prog_name="python -m server",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.protect_all and not self.needs_key:
            raise ValueError("--protect-all needs --keys-file or --api-keys")
        if self.ssl_certfile is None and (
            self.ssl_keyfile or self.ssl_ca_certs or self.ssl_keyfile_password
        ):
            raise ValueError("--ssl-keyfile, its password and --ssl-ca-certs need --ssl-certfile")
        if self.ssl_cert_reqs and self.ssl_ca_certs is None:
            raise ValueError("--ssl-cert-reqs needs --ssl-ca-certs")
        return self
