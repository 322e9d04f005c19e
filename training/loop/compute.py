"""Where training runs, and in which precision: bfloat16 matrix products, float32 weights."""

import torch


def pick_device(name: str) -> torch.device:
    """`cpu`, `cuda`, or by `auto` the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def mixed_precision(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16)
