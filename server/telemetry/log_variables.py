"""The environment variables that pass the server's log settings to its child processes."""

from typing import Final

LEVEL: Final = "LLAVA_LOG_LEVEL"
FORMAT: Final = "LLAVA_LOG_FORMAT"
REPLICA: Final = "LLAVA_REPLICA_NAME"
