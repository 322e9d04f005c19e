"""Silences libraries that log while they are imported, before logs are configured.

PyTorch calls `set_early_levels` at the end of every `import torch` (entry point group
`torch.backends`), in the server and in the engine's processes.
"""

import logging
import os

from server.telemetry.log_variables import LEVEL


def set_early_levels() -> None:
    """Set log levels if this is a process of the server; vLLM's logger gets the engine's level.

    PyTorch's compiler warns that there is no Triton, which it does not need on a CPU.
    """
    if os.environ.get(LEVEL, "debug") != "debug":
        logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
    level = os.environ.get("VLLM_LOGGING_LEVEL", "").upper()
    if level in logging.getLevelNamesMapping():
        logging.getLogger("vllm").setLevel(level)
