"""The last line of `--check`: whether the model can be served, as far as was checked."""

from server.checkpoint.config import Checkpoint, CheckpointError
from server.process.defaults import expects_cpu
from server.settings import Settings


def judge(settings: Settings, checkpoint: Checkpoint | None) -> str:
    """Return the verdict on settings that are right.

    With a GPU, this imports PyTorch, which takes seconds. Raises `CheckpointError` if the model
    does not fit its memory.
    """
    if checkpoint is None:
        return (
            f"OK so far: the settings are right. {settings.model} is not in the store: the start"
            " pulls it, and checks it then"
        )
    if _fits_gpu(settings, checkpoint):
        return f"OK: {settings.model} fits the GPU and can be served with these settings"
    return f"OK: {settings.model} can be served with these settings"


def _fits_gpu(settings: Settings, checkpoint: Checkpoint) -> bool:
    """Whether there is a GPU, which the model fits. Raises `CheckpointError` if it does not fit."""
    if expects_cpu(settings):
        return False
    # Imported here, so that a check without a GPU takes less than a second.
    import torch

    from server.devices import choose_accelerator, choose_vision_device
    from server.gpu_memory import choose_gpu_share

    device = torch.device(choose_accelerator(settings))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise CheckpointError("PyTorch finds no usable GPU: check the driver with nvidia-smi")
    choose_gpu_share(settings, checkpoint, device, choose_vision_device(settings))
    return device.type == "cuda"
