"""Keeps vLLM silent while it is imported, before it reads the level of its logs itself.

PyTorch calls `set_engine_level` at the end of every `import torch` (entry point group
`torch.backends`), also in the engine's own processes, where vLLM is imported next.
"""

import logging
import os


def set_engine_level() -> None:
    """Give vLLM's logger the level that the server has set for it, if it has."""
    level = os.environ.get("VLLM_LOGGING_LEVEL", "").upper()
    if level in logging.getLevelNamesMapping():
        logging.getLogger("vllm").setLevel(level)
