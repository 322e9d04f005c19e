"""Defaults that follow from the machine and from other settings."""

from typing import Final

from server.process.machine import count_decode_workers, has_gpu_device
from server.process.memory_limit import read_memory_limit
from server.settings import Settings

# Sequences at once: more of them add latency and next to no throughput. 64 clients are not refused:
# what does not run may wait (see `Admission`).
CPU_REQUESTS: Final = 48
GPU_REQUESTS: Final = 256
# Encoded images that wait for one decode worker. Half as much again may wait: together as much as
# sixteen chats over three photographs send at once, whose history comes again each turn.
PENDING_IMAGE_MIB: Final = 80
# The engine takes the whole KV cache at start. Beside a model of a billion parameters, 8 GiB of
# memory have room for one GiB of it.
GIB: Final = 1024**3
CPU_KV_CACHE_GIB: Final = 2
SMALL_MEMORY_GIB: Final = 12
SMALL_CPU_KV_CACHE_GIB: Final = 1


def expects_cpu(settings: Settings) -> bool:
    """Whether the engine is to run on a CPU, as far as is known without PyTorch."""
    return settings.accelerator == "cpu" or not has_gpu_device()


def count_gpus(settings: Settings) -> int:
    """Return how many GPUs one server uses: the first ones, up to that of the vision tower."""
    index = (settings.vision_device or "").partition(":")[2]
    return max(settings.tensor_parallel_size, int(index or 0) + 1)


def default_concurrent_requests(*, on_cpu: bool) -> int:
    """Return the default of `max_concurrent_requests`."""
    return CPU_REQUESTS if on_cpu else GPU_REQUESTS


def default_cpu_kv_cache_gib() -> int:
    """Return the default of `cpu_kv_cache_gib`, for the memory of this machine or container."""
    is_small = read_memory_limit() < SMALL_MEMORY_GIB * GIB
    return SMALL_CPU_KV_CACHE_GIB if is_small else CPU_KV_CACHE_GIB


def default_pending_image_mib(settings: Settings) -> int:
    """Return the default of `max_pending_image_mib`, for the decode workers that there are."""
    return (settings.decode_workers or count_decode_workers()) * PENDING_IMAGE_MIB
