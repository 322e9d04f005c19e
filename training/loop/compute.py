"""The device and the precision of training: bfloat16 matrix products, float32 weights."""

import torch


def select_device(name: str) -> torch.device:
    """Return the device: `cpu`, `cuda`, or for `auto` the GPU if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def autocast(device: torch.device) -> torch.autocast:
    """Run matrix products in bfloat16."""
    return torch.autocast(device.type, torch.bfloat16)
