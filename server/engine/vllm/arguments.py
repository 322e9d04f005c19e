"""vLLM's engine arguments, and the start of its engine with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from transformers import LlavaConfig, LlavaNextConfig, PreTrainedConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform
from vllm.usage.usage_lib import UsageContext
from vllm.utils.ompmultiprocessing import OMPProcessManager
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.executor.uniproc_executor import UniProcExecutor

from server.checkpoint.adapters import LoraAdapter
from server.checkpoint.config import MODEL_TYPES, CheckpointError
from server.engine.vllm.watchdog import StepCounter

# These replace vLLM's own choices on a CPU; docs/performance.md has the measurements.
CPU_ARGUMENTS: Final[Mapping[str, Any]] = {
    # Scheduler and model share one process, as on a GPU. In two they wait for each other by
    # spinning, which takes a core; the second process also costs seconds and hundreds of MiB.
    "distributed_executor_backend": UniProcExecutor,
    # The prefix cache stores full blocks only: with 128 tokens a block it would rarely hit.
    "block_size": 32,
}
# llguidance compiles lazily within bounds, and refuses JSON schema keywords it does not support.
GRAMMAR_BACKEND: Final = "guidance"
# The ranks that vLLM has kernels for.
LORA_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """The part of vLLM's engine arguments that the operator and the checkpoint decide.

    `has_image_newline` is true where the checkpoint's weights hold an `image_newline`.
    """

    model: Path
    model_name: str
    dtype: str
    has_image_newline: bool
    max_model_len: int | None
    max_num_seqs: int
    max_num_batched_tokens: int
    enforce_eager: bool
    gpu_memory_utilization: float
    drain_timeout_s: float
    stall_timeout_s: float
    adapters: Sequence[LoraAdapter] = ()
    max_loras: int = 1
    traces: bool = False


def build_engine_arguments(options: VllmOptions) -> dict[str, Any]:
    """Return the keyword arguments of vLLM's `AsyncEngineArgs`. Raises `CheckpointError`."""
    return {
        "model": str(options.model),
        "served_model_name": options.model_name,
        "dtype": options.dtype,
        "max_model_len": options.max_model_len,
        "max_num_seqs": options.max_num_seqs,
        "max_num_batched_tokens": options.max_num_batched_tokens,
        "enforce_eager": options.enforce_eager,
        "gpu_memory_utilization": options.gpu_memory_utilization,
        "hf_overrides": override_as_llava_next if options.has_image_newline else override_as_llava,
        "enable_mm_embeds": True,
        "limit_mm_per_prompt": {"image": 0},
        "structured_outputs_config": {"backend": GRAMMAR_BACKEND},
        # A signal to the whole process group must not end sequences that still drain.
        "shutdown_timeout": int(options.drain_timeout_s) + 1,
        **(CPU_ARGUMENTS if current_platform.is_cpu() else {}),
        **build_lora_arguments(options.adapters, options.max_loras),
    }


def build_lora_arguments(adapters: Sequence[LoraAdapter], max_loras: int) -> dict[str, Any]:
    """Return the engine arguments for LoRA, none without adapters.

    Raises `CheckpointError` where vLLM has no kernels for an adapter's rank.
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


def override_as_llava(config: PreTrainedConfig) -> PreTrainedConfig:
    """Return the configuration of any LLaVA as LLaVA-1.5's class.

    The engine runs only the language model, with embeddings in place of image tokens. vLLM also
    calls this with a configuration that has no model type, and gets it back unchanged.
    """
    return _override(config, LlavaConfig, "LlavaForConditionalGeneration")


def override_as_llava_next(config: PreTrainedConfig) -> PreTrainedConfig:
    """Return it as the class whose weights hold an `image_newline`; see `override_as_llava`."""
    return _override(config, LlavaNextConfig, "LlavaNextForConditionalGeneration")


def start_llm(arguments: Mapping[str, Any], step_counter: StepCounter) -> AsyncLLM:
    """Start the engine process and load the weights. Blocks for many seconds.

    `step_counter` is one more of vLLM's statistics loggers. The OpenMP threads are bound as vLLM's
    own worker binds them.
    """
    args = AsyncEngineArgs(**arguments)
    config = args.create_engine_config(UsageContext.ENGINE_CONTEXT)
    with OMPProcessManager(config).configure_omp_envs(rank=0, local_rank=0):
        return AsyncLLM.from_vllm_config(
            config,
            usage_context=UsageContext.ENGINE_CONTEXT,
            stat_loggers=[lambda _config, _engine_index: step_counter],
        )


def _override(
    config: PreTrainedConfig, config_class: type[PreTrainedConfig], architecture: str
) -> PreTrainedConfig:
    if config.model_type not in MODEL_TYPES:
        return config
    if not isinstance(config, config_class):
        content = config.to_dict()
        del content["model_type"]
        config = config_class(**content)
    config.architectures = [architecture]
    return config
