"""Keeps libraries silent that speak before the server has set their levels.

PyTorch calls `set_early_levels` at the end of every `import torch` (entry point group
`torch.backends`), also in the engine's own processes, where vLLM is imported next.
"""

import logging
import os


def set_early_levels() -> None:
    """Give vLLM's logger the level that the server has set for it, if it has.

    PyTorch's compiler warns that there is no Triton, which it does not need on a CPU.
    """
    level = os.environ.get("VLLM_LOGGING_LEVEL", "").upper()
    if level in logging.getLevelNamesMapping():
        logging.getLogger("vllm").setLevel(level)
        logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
