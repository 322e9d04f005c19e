"""The device, the processes and the precision: bfloat16 matrix products, float32 weights."""

import torch
from accelerate import PartialState


def select_device(name: str) -> torch.device:
    """Return the device: `cpu`, `cuda`, or for `auto` the GPU if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def split_batch(batch_size: int) -> int:
    """Return one process's share of a batch; `torchrun` starts several processes."""
    num_processes: int = PartialState().num_processes
    return batch_size // num_processes


def autocast(device: torch.device) -> torch.autocast:
    """Run matrix products in bfloat16."""
    return torch.autocast(device.type, torch.bfloat16)
