"""Where the engine and the vision tower run."""

import torch

from server.checkpoint.config import CheckpointError
from server.settings import Settings


def choose_accelerator(settings: Settings) -> str:
    """Return where the engine runs: `cpu` or `cuda`."""
    if settings.accelerator != "auto":
        return settings.accelerator
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_vision_device(settings: Settings) -> torch.device:
    """Return where the vision tower runs: by default beside the engine, on its first GPU.

    Raises `CheckpointError` where `--vision-device` is a GPU that is not there.
    """
    device = torch.device(settings.vision_device or choose_accelerator(settings))
    if device.type == "cpu":
        return device
    index, num_gpus = device.index or 0, torch.cuda.device_count()
    if settings.vision_device is not None and index >= num_gpus:
        raise CheckpointError(
            f"--vision-device {device}: this machine shows {num_gpus} GPUs, counted from 0: take"
            " one of them, or cpu"
        )
    return torch.device("cuda", index)
