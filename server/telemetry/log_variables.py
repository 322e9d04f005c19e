"""The variables by which the server tells its child processes how to log: its own settings'."""

from typing import Final

LEVEL: Final = "LLAVA_LOG_LEVEL"
FORMAT: Final = "LLAVA_LOG_FORMAT"
REPLICA: Final = "LLAVA_REPLICA_NAME"
