"""Starts the engine: environment, options, checks; then its process."""

import os
import shutil
import signal
import sysconfig
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import torch

from server.checkpoint.adapters import LoraAdapter
from server.checkpoint.config import Checkpoint, CheckpointError
from server.checkpoint.image_memory import compute_image_cache_bytes
from server.engine.base import Engine
from server.engine.problems import find_engine_problems
from server.gpu_memory import choose_gpu_share
from server.images.vision.weights import stores_image_newline
from server.process.defaults import default_cpu_kv_cache_gib
from server.process.resource_tracker import start_resource_tracker
from server.settings import Settings
from server.telemetry.logs import ENGINE_LEVELS

# Share of the image cache that the engine's process may keep as well, for images of current chats.
ENGINE_IMAGE_CACHE_SHARE: Final = 1 / 4

StartEngine = Callable[[], Engine]


def configure_engine(
    settings: Settings,
    checkpoint: Checkpoint,
    model_name: str,
    device: torch.device,
    adapters: Sequence[LoraAdapter] = (),
    *,
    vision_device: torch.device | None = None,
    traces: bool = False,
) -> StartEngine:
    """Check everything that needs no weights; return a function that starts the engine.

    The vision tower runs on `vision_device`, by default the engine's device. With `traces`, the
    engine records spans.

    Blocks for seconds; the function that it returns for many. Sets the environment variables that
    vLLM reads in this process. Raises `CheckpointError`.
    """
    for name, problem in find_engine_problems(settings, checkpoint, on_cpu=device.type == "cpu"):
        raise CheckpointError(f"--{name.replace('_', '-')}: {problem}")
    _set_environment(settings, device)
    # vLLM reads the environment on import. The import takes seconds, so it happens here.
    from server.engine.vllm.arguments import VllmOptions
    from server.engine.vllm.configuration import create_config
    from server.engine.vllm.engine import VllmEngine

    eager = settings.enforce_eager
    options = VllmOptions(
        model=checkpoint.path,
        model_name=model_name,
        settings=settings,
        dtype=checkpoint.resolve_dtype(settings.dtype, on_cpu=device.type == "cpu"),
        has_image_newline=stores_image_newline(checkpoint.path),
        # The engine takes all tokens of an image in one step.
        max_num_batched_tokens=max(settings.max_num_batched_tokens, checkpoint.max_image_tokens),
        enforce_eager=not can_compile(device) if eager is None else eager,
        drain_timeout_s=settings.drain_timeout_s,
        image_cache_bytes=int(
            compute_image_cache_bytes(settings, checkpoint) * ENGINE_IMAGE_CACHE_SHARE
        ),
        gpu_share=choose_gpu_share(settings, checkpoint, device, vision_device or device),
        adapters=adapters,
        max_loras=settings.max_loras,
        traces=traces,
    )
    return partial(VllmEngine, options, create_config(options))


def start_engine(start: StartEngine) -> Engine:
    """Start a configured engine from this thread. Blocks for many seconds."""
    # Ctrl-C and a hangup reach all processes of a terminal. The engine's processes inherit this
    # mask, so that requests in flight can still finish. Starting multiprocessing's resource tracker
    # would lift the mask, so the tracker starts first.
    start_resource_tracker()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    return start()


def _set_environment(settings: Settings, device: torch.device) -> None:
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(
        settings.cpu_kv_cache_gib or default_cpu_kv_cache_gib()
    )
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    _limit_output(settings.log_level)
    # vLLM 0.32 cannot read back what it compiled ahead of time for a CPU, so every start would
    # compile again. PyTorch's own compile cache works.
    if device.type == "cpu":
        os.environ.setdefault("VLLM_USE_AOT_COMPILE", "0")
    # Eager, vLLM still compiles its sampler.
    if settings.enforce_eager is not False and not can_compile(device):
        os.environ.setdefault("TORCH_COMPILE_DISABLE", "1")
    # A fork would inherit the locks of this process's threads, and on a GPU its CUDA state.
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"


def _limit_output(log_level: str) -> None:
    """Set the log levels of the engine and PyTorch's C++ code; disable progress bars."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", ENGINE_LEVELS[log_level])
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    os.environ.setdefault("TQDM_DISABLE", "1")
    if log_level != "debug":
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def can_compile(device: torch.device) -> bool:
    """Return whether vLLM can compile the model.

    On a CPU, PyTorch needs a C++ compiler and Python's headers, which Debian packages separately.
    """
    if device.type != "cpu":
        return True
    header = Path(sysconfig.get_path("include"), "Python.h")
    return shutil.which(os.environ.get("CXX", "g++")) is not None and header.exists()
