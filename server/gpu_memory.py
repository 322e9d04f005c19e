"""Shares a GPU's memory between the engine and the vision tower, and checks that a model fits."""

from dataclasses import dataclass
from math import floor
from typing import Final

import torch

from server.checkpoint.config import Checkpoint, CheckpointError
from server.images.vision.memory import VisionSize, measure_vision
from server.settings import Settings

GIB: Final = 1024**3
# vLLM's own default.
MAX_SHARE: Final = 0.92
# Outside the tower and the engine's share: the server's CUDA context with cuBLAS, the engine's
# context, which it does not count when it starts, and the driver's own memory.
OUTSIDE_BYTES: Final = int(1.6 * GIB)
# The least that the engine needs beside weights and KV cache. It measures the rest itself.
LEAST_WORK_SPACE_BYTES: Final = GIB // 2
# CUDA graphs have memory of their own, in addition to that of their warm-up passes.
GRAPH_FACTOR: Final = 2


@dataclass(frozen=True, slots=True)
class GpuNeeds:
    """What one GPU must hold, in bytes.

    `weights` are the language model's, `token` is the KV cache of one token, and `vision` is what
    the tower and its activations take, 0 if it runs elsewhere.
    """

    weights: int
    token: float
    vision: int


def choose_gpu_share(
    settings: Settings,
    checkpoint: Checkpoint,
    engine_device: torch.device,
    vision_device: torch.device,
) -> float:
    """Return the engine's share of the memory of each of its GPUs.

    It is `--gpu-memory-utilization`, else what the tower leaves; on a CPU it has no meaning.
    Raises `CheckpointError` for a model that does not fit, with the sum.
    """
    if engine_device.type == "cpu":
        return settings.gpu_memory_utilization or MAX_SHARE
    # Without a GPU, PyTorch raises an error that says why; with too few, the engine does.
    gpus = range(max(1, min(settings.tensor_parallel_size, torch.cuda.device_count())))
    total = min(torch.cuda.get_device_properties(index).total_memory for index in gpus)
    has_tower = vision_device.type == "cuda" and (vision_device.index or 0) in gpus
    needs = compute_needs(settings, checkpoint, has_tower=has_tower)
    share = settings.gpu_memory_utilization or compute_share(total, needs.vision)
    check_fit(total, share, needs, settings.max_model_len or 1)
    return share


def compute_needs(settings: Settings, checkpoint: Checkpoint, *, has_tower: bool) -> GpuNeeds:
    """Return what each of the engine's GPUs must hold."""
    dtype: torch.dtype = getattr(torch, checkpoint.resolve_dtype(settings.dtype))
    vision = measure_vision(checkpoint)
    size = vision.count_bytes(
        dtype, settings.vision_batch_size * (GRAPH_FACTOR if settings.vision_cuda_graphs else 1)
    )
    cache_itemsize = 1 if settings.kv_cache_dtype.startswith("fp8") else dtype.itemsize
    gpus = settings.tensor_parallel_size
    return GpuNeeds(
        weights=_measure_weights(settings, checkpoint, vision, dtype) // gpus,
        token=checkpoint.language_model.count_cache_values() * cache_itemsize / gpus,
        vision=size if has_tower else 0,
    )


def compute_share(total_bytes: int, vision_bytes: int) -> float:
    """Return the share that tower and contexts leave, `MAX_SHARE` at most, in whole percents."""
    left = 1 - (vision_bytes + OUTSIDE_BYTES) / total_bytes
    return max(0.01, min(MAX_SHARE, floor(left * 100) / 100))


def check_fit(total_bytes: int, share: float, needs: GpuNeeds, max_model_len: int) -> None:
    """Raise `CheckpointError` if weights and one sequence exceed the engine's share."""
    room = total_bytes * share - needs.weights - LEAST_WORK_SPACE_BYTES
    cache = needs.token * max_model_len
    if cache <= room:
        return
    longest = int(room / needs.token) if needs.token else 0
    remedy = (
        f"take --max-model-len {longest} or less"
        if longest > 0
        else "take a quantised checkpoint or --quantization fp8, more GPUs with"
        " --tensor-parallel-size, or a larger one"
    )
    raise CheckpointError(
        f"the model does not fit a GPU of {_gib(total_bytes)} GiB: the engine's share of"
        f" {share:.0%} is {_gib(total_bytes * share)} GiB ({_gib(needs.vision)} GiB are for the"
        f" vision tower), and it needs {_gib(needs.weights)} GiB for weights, at least"
        f" {_gib(LEAST_WORK_SPACE_BYTES)} GiB of work space and {_gib(cache)} GiB of KV cache for"
        f" {max_model_len} tokens: {remedy}"
    )


def _measure_weights(
    settings: Settings, checkpoint: Checkpoint, vision: VisionSize, dtype: torch.dtype
) -> int:
    """Return the bytes of the language model's weights: the files' less the vision weights'."""
    stored: torch.dtype = getattr(torch, checkpoint.dtype)
    size = sum(file.stat().st_size for file in checkpoint.path.glob("*.safetensors"))
    text = max(0, size - vision.num_weights * stored.itemsize)
    if checkpoint.language_model.quantization is not None:
        return text
    if settings.quantization is not None:
        return text // stored.itemsize  # one byte a weight, or less
    return text * dtype.itemsize // stored.itemsize


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / GIB:.1f}"
