"""vLLM's engine arguments, from the settings and the checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from vllm.platforms import current_platform
from vllm.v1.executor.uniproc_executor import UniProcExecutor

from server.checkpoint.adapters import LoraAdapter
from server.checkpoint.config import CheckpointError
from server.engine.vllm.model_override import override_as_llava, override_as_llava_next
from server.settings.engine import EngineSettings

GIB: Final = 1024**3
# Scheduler and model share one process, as on a GPU. Two processes wait for each other by spinning,
# which takes a core; the second also costs seconds and hundreds of MiB. This and the next constant
# replace vLLM's own choices on a CPU; docs/performance.md has the measurements.
CPU_EXECUTOR: Final = UniProcExecutor
# The prefix cache stores full blocks only: with 128 tokens a block it would rarely hit.
CPU_BLOCK_SIZE: Final = 32
# vLLM takes the whole context of the checkpoint, or as much as the KV cache holds.
FITTING_CONTEXT: Final = -1
# llguidance compiles lazily within bounds, and refuses JSON schema keywords it does not support.
GRAMMAR_BACKEND: Final = "guidance"
# The LoRA ranks that vLLM has kernels for.
LORA_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """The engine arguments that depend on the operator and the checkpoint.

    `dtype`, `max_num_batched_tokens` and `enforce_eager` follow from the settings of the same name,
    the checkpoint and the machine. `has_image_newline` is true if the checkpoint's weights hold an
    `image_newline`. `image_cache_bytes` bounds the image_embeds that the engine's process keeps.
    `gpu_share` is the engine's share of each GPU's memory.
    """

    model: Path
    model_name: str
    settings: EngineSettings
    dtype: str
    has_image_newline: bool
    max_num_batched_tokens: int
    enforce_eager: bool
    drain_timeout_s: float
    image_cache_bytes: int
    gpu_share: float
    adapters: Sequence[LoraAdapter] = ()
    max_loras: int = 1
    traces: bool = False


def build_engine_arguments(options: VllmOptions) -> dict[str, Any]:
    """Return the keyword arguments of vLLM's `AsyncEngineArgs`. Raises `CheckpointError`."""
    settings = options.settings
    override = override_as_llava_next if options.has_image_newline else override_as_llava
    return {
        "model": str(options.model),
        "served_model_name": options.model_name,
        "dtype": options.dtype,
        "quantization": settings.quantization,
        "kv_cache_dtype": settings.kv_cache_dtype,
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_num_seqs,
        "max_num_batched_tokens": options.max_num_batched_tokens,
        "enforce_eager": options.enforce_eager,
        "gpu_memory_utilization": options.gpu_share,
        "kv_offloading_size": settings.kv_offloading_gib,
        "enable_prefix_caching": settings.enable_prefix_caching,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "distributed_executor_backend": settings.distributed_executor_backend,
        "speculative_config": settings.speculative_config,
        "compilation_config": settings.compilation_config or {},
        "seed": settings.seed,
        "hf_overrides": partial(override, tensor_parallel_size=settings.tensor_parallel_size),
        "enable_mm_embeds": True,
        "use_tqdm_on_load": False,
        "mm_processor_cache_gb": options.image_cache_bytes / GIB,
        "limit_mm_per_prompt": {"image": 0},
        "structured_outputs_config": {"backend": GRAMMAR_BACKEND},
        # A signal to the whole process group must not end sequences that still drain.
        "shutdown_timeout": int(options.drain_timeout_s) + 1,
        **(_build_cpu_arguments(settings) if current_platform.is_cpu() else {}),
        **build_lora_arguments(options.adapters, options.max_loras),
        **settings.engine_args,
    }


def _build_cpu_arguments(settings: EngineSettings) -> dict[str, Any]:
    arguments: dict[str, Any] = {"block_size": CPU_BLOCK_SIZE}
    if settings.max_model_len is None:
        # The KV cache has a fixed size on a CPU, which may not hold the checkpoint's context.
        arguments["max_model_len"] = FITTING_CONTEXT
    if settings.tensor_parallel_size == 1:
        arguments["distributed_executor_backend"] = CPU_EXECUTOR
    return arguments


def build_lora_arguments(adapters: Sequence[LoraAdapter], max_loras: int) -> dict[str, Any]:
    """Return the engine arguments for LoRA, none without adapters.

    Raises `CheckpointError` if vLLM has no kernels for an adapter's rank.
    """
    if not adapters:
        return {}
    rank = max(adapter.rank for adapter in adapters)
    max_lora_rank = next((supported for supported in LORA_RANKS if supported >= rank), None)
    if max_lora_rank is None:
        raise CheckpointError(f"a LoRA adapter has rank {rank}; {LORA_RANKS[-1]} is the most")
    return {
        "enable_lora": True,
        "max_lora_rank": max_lora_rank,
        "max_loras": min(max_loras, len(adapters)),
        "max_cpu_loras": len(adapters),
    }
