"""What the start checks have opened and read for the server."""

import socket
from dataclasses import dataclass
from typing import Any

from server.checkpoint.config import Checkpoint
from server.keys.key_ring import KeyRing
from server.settings import Settings
from server.telemetry.usage_file import UsageFile


@dataclass(frozen=True, slots=True)
class Startup:
    """Everything that a server needs besides PyTorch. `tls` has uvicorn's options."""

    settings: Settings
    checkpoint: Checkpoint
    listener: socket.socket
    admin_listener: socket.socket | None
    tls: dict[str, Any]
    keys: KeyRing
    usage_file: UsageFile | None
