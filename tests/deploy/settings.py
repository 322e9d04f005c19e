"""What deployment files may name: the server's variables, and how long it takes to stop."""

from typing import Final

from server.admin_port import STOP_TIMEOUT_S
from server.api.requests_in_flight import ANSWER_TIMEOUT_S
from server.serve import SHUTDOWN_TIMEOUT_S
from server.settings import Settings
from server.telemetry.tracing import FLUSH_TIMEOUT_S

VARIABLES: Final = {f"LLAVA_{name.upper()}" for name in Settings.model_fields} | {"LLAVA_STORE"}
# The engine's CLOSE_TIMEOUT_S, in a module that takes seconds to import, and what killing it takes.
ENGINE_CLOSE_S: Final = 5 + 2
CLOSE_S: Final = (
    2 * ANSWER_TIMEOUT_S + SHUTDOWN_TIMEOUT_S + ENGINE_CLOSE_S + STOP_TIMEOUT_S + FLUSH_TIMEOUT_S
)


def stop_s(variables: dict[str, str]) -> float:
    """Return the longest time from SIGTERM to exit, in seconds."""
    default = Settings.model_fields["drain_timeout_s"].default
    return float(variables.get("LLAVA_DRAIN_TIMEOUT_S", default)) + CLOSE_S
