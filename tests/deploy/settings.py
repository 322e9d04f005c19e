"""What deployment files may name: the server's variables, and how long it takes to stop."""

from typing import Final

from server.serve import SHUTDOWN_TIMEOUT_S
from server.settings import Settings

VARIABLES: Final = {f"LLAVA_{name.upper()}" for name in Settings.model_fields} | {"LLAVA_STORE"}


def stop_s(variables: dict[str, str]) -> float:
    """Return the longest time from SIGTERM to exit, in seconds."""
    default = Settings.model_fields["drain_timeout_s"].default
    return float(variables.get("LLAVA_DRAIN_TIMEOUT_S", default)) + SHUTDOWN_TIMEOUT_S
