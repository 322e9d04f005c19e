"""Finds engine settings that the checkpoint or the machine does not support.

Imports neither vLLM nor PyTorch, so that a mistake is reported at once.
"""

import os
from collections.abc import Iterator
from typing import Final

from server.checkpoint.config import Checkpoint
from server.process.memory_limit import read_memory_limit
from server.settings import Settings

# vLLM 0.32 has CPU kernels for these. FP8 needs the AMX instructions of recent processors.
CPU_QUANTIZATIONS: Final = (
    *("awq", "auto_awq", "gptq", "auto_gptq", "compressed-tensors"),
    "int8_per_channel_weight_only",
)
CPU_KV_CACHE_DTYPES: Final = ("auto", "fp8", "fp8_e4m3", "fp8_e5m2")
# The methods that quantise weights while they load; the others read what a checkpoint stores.
ONLINE_QUANTIZATIONS: Final = (
    *("fp8", "fp8_per_tensor", "fp8_per_channel", "fp8_per_block", "mxfp8", "nvfp4_per_token"),
    "int8_per_channel_weight_only",
)
MAX_TENSOR_PARALLEL_SIZE: Final = 64
GIB: Final = 1024**3

# A setting's name, and what is wrong with it.
Problem = tuple[str, str]


def find_engine_problems(
    settings: Settings, checkpoint: Checkpoint, *, on_cpu: bool
) -> Iterator[Problem]:
    """Yield the problems, each with its remedy; `on_cpu`: the engine is to run on the CPU."""
    yield from _find_sharing_problems(settings, checkpoint)
    yield from _find_batch_problems(settings, checkpoint)
    yield from _find_quantization_problems(settings, checkpoint)
    yield from _find_memory_problems(settings, on_cpu=on_cpu)
    yield from _find_vision_problems(settings, on_cpu=on_cpu)
    if on_cpu:
        yield from _find_cpu_problems(settings, checkpoint)


def _find_sharing_problems(settings: Settings, checkpoint: Checkpoint) -> Iterator[Problem]:
    language_model, gpus = checkpoint.language_model, settings.tensor_parallel_size
    unshared = language_model.find_unshared(gpus)
    if unshared is not None:
        possible = (
            str(number)
            for number in range(1, MAX_TENSOR_PARALLEL_SIZE + 1)
            if language_model.find_unshared(number) is None
        )
        yield (
            "tensor_parallel_size",
            f"{gpus} does not divide the model's {unshared}: take one of {', '.join(possible)}",
        )


def _find_batch_problems(settings: Settings, checkpoint: Checkpoint) -> Iterator[Problem]:
    """The default grows with the image; the operator's value does not."""
    needed = checkpoint.max_image_tokens
    given = settings.max_num_batched_tokens
    if given < needed and "max_num_batched_tokens" in settings.model_fields_set:
        yield (
            "max_num_batched_tokens",
            f"{given} is less than the {needed} tokens of an image, which the engine takes in one"
            f" step: take {needed} at least",
        )


def _find_quantization_problems(settings: Settings, checkpoint: Checkpoint) -> Iterator[Problem]:
    method, stored = settings.quantization, checkpoint.language_model.quantization
    if method is not None and stored is None and method not in ONLINE_QUANTIZATIONS:
        yield (
            "quantization",
            f"{method} needs a checkpoint that is quantised by it, and this one is not quantised:"
            f" leave it out, or take one of {', '.join(ONLINE_QUANTIZATIONS)}",
        )


def _find_memory_problems(settings: Settings, *, on_cpu: bool) -> Iterator[Problem]:
    """The KV cache in the machine's memory; on a CPU, each process of the engine has its own."""
    name = "cpu_kv_cache_gib" if on_cpu else "kv_offloading_gib"
    processes = settings.tensor_parallel_size if on_cpu else 1
    gib = (getattr(settings, name) or 0) * processes
    limit_gib = read_memory_limit() / GIB
    if gib >= limit_gib:
        each = f" in each of {processes} processes" if processes > 1 else ""
        yield (
            name,
            f"is more{each} than there is room for: this machine, or its container, has"
            f" {limit_gib:.1f} GiB of memory, and the model needs some of it: take less",
        )


def _find_vision_problems(settings: Settings, *, on_cpu: bool) -> Iterator[Problem]:
    device = settings.vision_device
    if on_cpu and device is not None and device != "cpu":
        yield "vision_device", f"{device} needs a GPU, and this machine has none: leave it out"
    if settings.vision_cuda_graphs and (on_cpu or device == "cpu"):
        yield "vision_cuda_graphs", "needs the vision tower on a GPU: leave it out"


def _find_cpu_problems(settings: Settings, checkpoint: Checkpoint) -> Iterator[Problem]:
    cores = len(os.sched_getaffinity(0))
    if settings.tensor_parallel_size > cores:
        yield (
            "tensor_parallel_size",
            f"{settings.tensor_parallel_size} processes have only {cores} CPU cores: take fewer",
        )
    if settings.kv_cache_dtype not in CPU_KV_CACHE_DTYPES:
        yield (
            "kv_cache_dtype",
            f"{settings.kv_cache_dtype} needs a GPU: take one of {', '.join(CPU_KV_CACHE_DTYPES)}",
        )
    if settings.kv_offloading_gib is not None:
        yield (
            "kv_offloading_gib",
            "moves KV cache out of a GPU, and this machine has none: raise --cpu-kv-cache-gib"
            " instead",
        )
    method = settings.quantization or checkpoint.language_model.quantization
    if method is not None and method not in CPU_QUANTIZATIONS:
        yield (
            "quantization" if settings.quantization else "model",
            f"{method} quantisation needs a GPU: on a CPU take a checkpoint that is not quantised,"
            f" or by one of {', '.join(CPU_QUANTIZATIONS)}",
        )
