"""vLLM's engine arguments: the operator's options, the hf overrides, and LoRA."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform

from server.checkpoint.adapters import LoraAdapter
from server.checkpoint.config import CheckpointError
from server.engine.vllm.arguments import (
    CPU_EXECUTOR,
    VllmOptions,
    build_engine_arguments,
    build_lora_arguments,
)
from server.engine.vllm.model_override import override_as_llava, override_as_llava_next
from server.settings import Settings

OPTIONS = VllmOptions(
    model=Path("/models/llava"),
    model_name="llava",
    settings=Settings(max_model_len=2048, max_num_seqs=8),
    dtype="float16",
    has_image_newline=False,
    max_num_batched_tokens=4096,
    enforce_eager=True,
    drain_timeout_s=9.5,
    image_cache_bytes=2**29,
    gpu_share=0.5,
)
# A setting, vLLM's argument, and a value of both.
PASSED: list[tuple[str, str, Any]] = [
    ("quantization", "quantization", "awq"),
    ("kv_cache_dtype", "kv_cache_dtype", "fp8"),
    ("kv_offloading_gib", "kv_offloading_size", 4.0),
    ("enable_prefix_caching", "enable_prefix_caching", False),
    ("tensor_parallel_size", "tensor_parallel_size", 4),
    ("distributed_executor_backend", "distributed_executor_backend", "ray"),
    ("speculative_config", "speculative_config", {"method": "ngram"}),
    ("compilation_config", "compilation_config", {"debug_dump_path": "/d"}),
    ("seed", "seed", 7),
    ("max_model_len", "max_model_len", 99),
    ("engine_args", "async_scheduling", {"async_scheduling": False}),
]


def build(**changes: Any) -> dict[str, Any]:
    """Return the arguments with these settings."""
    return build_engine_arguments(replace(OPTIONS, settings=Settings(**changes)))


def adapters(*ranks: int) -> list[LoraAdapter]:
    return [LoraAdapter(f"a{rank}", Path(f"/adapters/{rank}"), rank) for rank in ranks]


def test_every_option_reaches_vllm() -> None:
    args = AsyncEngineArgs(**build_engine_arguments(OPTIONS))
    assert args.model == "/models/llava"
    assert args.served_model_name == "llava"
    assert args.dtype == "float16"
    assert args.max_model_len == 2048
    assert args.max_num_seqs == 8
    assert args.max_num_batched_tokens == 4096
    assert args.enforce_eager is True
    assert args.gpu_memory_utilization == 0.5
    assert args.mm_processor_cache_gb == 0.5


def test_vllm_takes_embeddings_and_builds_no_vision_tower() -> None:
    args = AsyncEngineArgs(**build_engine_arguments(OPTIONS))
    assert args.enable_mm_embeds is True
    assert args.limit_mm_per_prompt == {"image": 0}
    assert args.structured_outputs_config == {"backend": "guidance"}


def test_the_engine_process_outlives_the_drain() -> None:
    assert build_engine_arguments(OPTIONS)["shutdown_timeout"] == 10


@pytest.mark.parametrize(("setting", "argument", "value"), PASSED)
def test_engine_settings_reach_vllm(
    setting: str, argument: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(current_platform), "is_cpu", lambda _: False)
    expected = value[argument] if setting == "engine_args" else value
    assert build(**{setting: value})[argument] == expected


def test_engine_args_come_last() -> None:
    assert build(engine_args={"block_size": 64})["block_size"] == 64


@pytest.mark.parametrize(
    ("is_cpu", "processes", "executor", "has_block_size"),
    [(True, 1, CPU_EXECUTOR, True), (True, 2, None, True), (False, 1, None, False)],
)
def test_only_a_cpu_gets_its_own_arguments(
    is_cpu: bool,
    processes: int,
    executor: Any,
    has_block_size: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(type(current_platform), "is_cpu", lambda _: is_cpu)
    arguments = build(tensor_parallel_size=processes)
    assert arguments["distributed_executor_backend"] is executor
    assert ("block_size" in arguments) is has_block_size


@pytest.mark.parametrize(
    ("is_cpu", "given", "expected"), [(True, None, -1), (True, 99, 99), (False, None, None)]
)
def test_a_cpu_takes_the_context_that_its_kv_cache_holds(
    is_cpu: bool, given: int | None, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(current_platform), "is_cpu", lambda _: is_cpu)
    assert build(max_model_len=given)["max_model_len"] == expected


@pytest.mark.parametrize(
    ("has_image_newline", "override"),
    [(False, override_as_llava), (True, override_as_llava_next)],
)
def test_the_weights_decide_the_override(has_image_newline: bool, override: Any) -> None:
    options = replace(OPTIONS, has_image_newline=has_image_newline)
    built = build_engine_arguments(options)["hf_overrides"]
    assert (built.func, built.keywords) == (override, {"tensor_parallel_size": 1})


def test_no_adapters_need_no_lora() -> None:
    assert build_lora_arguments([], 4) == {}
    assert not any("lora" in name for name in build_engine_arguments(OPTIONS))


@pytest.mark.parametrize(
    ("ranks", "max_lora_rank"),
    [((1,), 8), ((8,), 8), ((9, 4), 16), ((64, 200), 256), ((512,), 512)],
)
def test_the_rank_is_the_next_that_vllm_has(ranks: tuple[int, ...], max_lora_rank: int) -> None:
    assert build_lora_arguments(adapters(*ranks), 1)["max_lora_rank"] == max_lora_rank


@pytest.mark.parametrize(("max_loras", "at_once"), [(1, 1), (2, 2), (5, 3)])
def test_no_more_adapters_at_once_than_there_are(max_loras: int, at_once: int) -> None:
    arguments = build_lora_arguments(adapters(8, 16, 32), max_loras)
    assert arguments == {
        "enable_lora": True,
        "max_lora_rank": 32,
        "max_loras": at_once,
        "max_cpu_loras": 3,
    }


def test_a_rank_beyond_vllms_kernels_is_refused() -> None:
    with pytest.raises(CheckpointError, match="rank 513; 512 is the most"):
        build_engine_arguments(replace(OPTIONS, adapters=adapters(8, 513)))


def test_adapters_reach_vllm() -> None:
    options = replace(OPTIONS, adapters=adapters(8, 16), max_loras=2)
    args = AsyncEngineArgs(**build_engine_arguments(options))
    assert (args.enable_lora, args.max_lora_rank) == (True, 16)
    assert (args.max_loras, args.max_cpu_loras) == (2, 2)
