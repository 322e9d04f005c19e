"""Settings that are JSON objects for vLLM, and checks of the names in them."""

import json
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from server.settings.vllm_fields import read_field_names

# The settings that have a vLLM argument of another name, and those that imply one.
SETTINGS: Final[Mapping[str, str]] = {
    "model": "--model",
    "model_weights": "--model",
    "tokenizer": "--model",
    "served_model_name": "--served-model-name",
    "dtype": "--dtype",
    "quantization": "--quantization",
    "kv_cache_dtype": "--kv-cache-dtype",
    "max_model_len": "--max-model-len",
    "max_num_seqs": "--max-num-seqs",
    "max_num_batched_tokens": "--max-num-batched-tokens",
    "enforce_eager": "--enforce-eager",
    "gpu_memory_utilization": "--gpu-memory-utilization",
    "tensor_parallel_size": "--tensor-parallel-size",
    "distributed_executor_backend": "--distributed-executor-backend",
    "kv_offloading_size": "--kv-offloading-gib",
    "enable_prefix_caching": "--enable-prefix-caching",
    "speculative_config": "--speculative-config",
    "compilation_config": "--compilation-config",
    "seed": "--seed",
    "enable_lora": "--lora-adapters",
    "max_lora_rank": "--lora-adapters",
    "max_cpu_loras": "--lora-adapters",
    "max_loras": "--max-loras",
    "mm_processor_cache_gb": "--image-cache-mib",
    "shutdown_timeout": "--drain-timeout-s",
}
# What this server gives vLLM itself, because it depends on it.
FIXED: Final = frozenset(
    {
        *("hf_overrides", "hf_config_path", "config_format", "runner", "convert"),
        *("skip_tokenizer_init", "enable_mm_embeds", "limit_mm_per_prompt", "mm_encoder_only"),
        *("language_model_only", "mm_processor_cache_type", "enable_prompt_embeds"),
        *("structured_outputs_config", "disable_log_stats", "tokens_only"),
    }
)
# What is secret: vLLM logs its arguments, and command lines are there for all to see.
SECRETS: Final[Mapping[str, str]] = {"hf_token": "HF_TOKEN"}
REASONS: Final[Mapping[str, str]] = {
    "pipeline_parallel_size": "vLLM's engine dies of image embeddings under pipeline parallelism:"
    " use --tensor-parallel-size",
    "data_parallel_size": "start one server for each replica instead, and balance over them",
}


def parse_object(value: object) -> object:
    """Read a JSON object from text. Raises `ValueError`."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"must be a JSON object: {error}") from None
    if value is not None and not isinstance(value, dict):
        raise ValueError('must be a JSON object such as {"name": 1}')
    return value


def check_engine_args(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return vLLM's arguments by their names in Python. Raises `ValueError` for unusable ones."""
    arguments = {name.lstrip("-").replace("-", "_"): each for name, each in arguments.items()}
    for name, value in arguments.items():
        _check_engine_arg(name, value)
    return {name: value for name, value in arguments.items() if name not in REASONS}


def _check_engine_arg(name: str, value: object) -> None:
    if name in SETTINGS:
        raise ValueError(f"{name!r} is set by {SETTINGS[name]}")
    if name in FIXED:
        raise ValueError(f"{name!r} is set by the server itself, which depends on it")
    if name in SECRETS:
        raise ValueError(f"{name!r} is a secret: set the variable {SECRETS[name]} instead")
    if name in REASONS and value != 1:
        raise ValueError(f"{name!r}: {REASONS[name]}")
    check_name(name, read_field_names("engine/arg_utils.py", "EngineArgs"), "engine argument")


def check_name(name: str, known: Collection[str], kind: str) -> None:
    """Raise `ValueError` for a name that vLLM does not know; with the nearest one that it does."""
    if not known or (name in known and not name.startswith("_")):
        return
    near = get_close_matches(name, known, n=1)
    hint = f": did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"vLLM has no {kind} {name!r}{hint}")


def check_speculative_config(config: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return vLLM's options of speculative decoding. Raises `ValueError` for unknown ones."""
    known = read_field_names("config/speculative.py", "SpeculativeConfig") if config else ()
    for name in config or ():
        check_name(name, known, "option of speculative decoding")
    return config


def check_compilation_config(config: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return vLLM's options of compilation. Raises `ValueError` for unknown ones."""
    known = read_field_names("config/compilation.py", "CompilationConfig") if config else ()
    for name in config or ():
        check_name(name, known, "option of compilation")
    return config


_Object = dict[str, Any]
EngineArgs = Annotated[
    _Object, NoDecode, BeforeValidator(parse_object), AfterValidator(check_engine_args)
]
SpeculativeConfig = Annotated[
    _Object | None,
    NoDecode,
    BeforeValidator(parse_object),
    AfterValidator(check_speculative_config),
]
CompilationConfig = Annotated[
    _Object | None,
    NoDecode,
    BeforeValidator(parse_object),
    AfterValidator(check_compilation_config),
]
