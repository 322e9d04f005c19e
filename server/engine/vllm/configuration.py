"""vLLM's configuration, created before weights load, so that errors in it show early."""

from importlib.util import find_spec
from typing import Any

import torch
from pydantic import ValidationError
from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform
from vllm.usage.usage_lib import UsageContext

from server.checkpoint.config import CheckpointError
from server.engine.start_failure import EngineStartError, describe_error, find_cause
from server.engine.vllm.arguments import VllmOptions, build_engine_arguments
from server.settings.engine import EngineSettings
from server.telemetry.child_logs import get_child_level
from server.telemetry.logs import adopt_engine_logger


def create_config(options: VllmOptions) -> VllmConfig:
    """Return the engine's configuration; vLLM checks it against checkpoint and device.

    Raises `CheckpointError` or `EngineStartError` with a one-line reason.
    """
    arguments = build_engine_arguments(options)
    if current_platform.is_cuda():
        _check_gpus(options)
    _check_ray(options.settings)
    try:
        return _create_config(arguments)
    except Exception as error:
        if cause := find_cause(describe_error(error)):
            raise EngineStartError(cause) from error
        raise CheckpointError(f"the engine refuses its options: {explain(error)}") from error


def _create_config(arguments: dict[str, Any]) -> VllmConfig:
    config = AsyncEngineArgs(**arguments).create_engine_config(UsageContext.ENGINE_CONTEXT)
    adopt_engine_logger(get_child_level())
    return config


def _check_gpus(options: VllmOptions) -> None:
    """Raise `CheckpointError` if there are too few GPUs, or if they lack the dtype."""
    needed, gpus = options.settings.tensor_parallel_size, current_platform.device_count()
    if needed > gpus and options.settings.distributed_executor_backend != "ray":
        raise CheckpointError(
            f"--tensor-parallel-size {needed} exceeds the {gpus} GPUs of this machine: take fewer"
        )
    try:
        current_platform.check_if_supports_dtype(getattr(torch, options.dtype))
    except ValueError:
        raise CheckpointError(
            f"this GPU does not compute in {options.dtype}: take --dtype float16"
        ) from None


def _check_ray(settings: EngineSettings) -> None:
    """Raise `CheckpointError` if Ray is requested but not installed."""
    if settings.distributed_executor_backend == "ray" and find_spec("ray") is None:
        raise CheckpointError(
            "--distributed-executor-backend ray needs Ray, which is not installed: take mp"
        )


def explain(error: Exception) -> str:
    """Return the first line of vLLM's or pydantic's message, without its class and advice."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        text = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return f"{place}: {_first_line(text)}" if place else _first_line(text)
    return _first_line(str(error)) or type(error).__name__


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
