"""vLLM's engine arguments: the operator's options, the hf overrides, and LoRA."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaConfig, LlavaConfig, LlavaNextConfig, PreTrainedConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform

from server.checkpoint.adapters import LoraAdapter
from server.checkpoint.config import CheckpointError
from server.engine.vllm.arguments import (
    CPU_ARGUMENTS,
    VllmOptions,
    build_engine_arguments,
    build_lora_arguments,
    override_as_llava,
    override_as_llava_next,
)

OPTIONS = VllmOptions(
    model=Path("/models/llava"),
    model_name="llava",
    dtype="float16",
    has_image_newline=False,
    max_model_len=2048,
    max_num_seqs=8,
    max_num_batched_tokens=4096,
    enforce_eager=True,
    gpu_memory_utilization=0.5,
    drain_timeout_s=9.5,
    stall_timeout_s=1.0,
)


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


def test_vllm_takes_embeddings_and_builds_no_vision_tower() -> None:
    args = AsyncEngineArgs(**build_engine_arguments(OPTIONS))
    assert args.enable_mm_embeds is True
    assert args.limit_mm_per_prompt == {"image": 0}
    assert args.structured_outputs_config == {"backend": "guidance"}


def test_the_engine_process_outlives_the_drain() -> None:
    assert build_engine_arguments(OPTIONS)["shutdown_timeout"] == 10


@pytest.mark.parametrize("is_cpu", [True, False])
def test_only_a_cpu_gets_its_own_arguments(is_cpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(current_platform), "is_cpu", lambda _: is_cpu)
    arguments = build_engine_arguments(OPTIONS)
    assert (arguments.items() >= CPU_ARGUMENTS.items()) is is_cpu
    assert ("block_size" in arguments) is is_cpu


@pytest.mark.parametrize(
    ("has_image_newline", "override"),
    [(False, override_as_llava), (True, override_as_llava_next)],
)
def test_the_weights_decide_the_override(has_image_newline: bool, override: Any) -> None:
    options = replace(OPTIONS, has_image_newline=has_image_newline)
    assert build_engine_arguments(options)["hf_overrides"] is override


@pytest.mark.parametrize("config_class", [LlavaConfig, LlavaNextConfig])
def test_any_llava_becomes_a_plain_one(config_class: type[PreTrainedConfig]) -> None:
    config = override_as_llava(config_class(text_config=LlamaConfig(hidden_size=64)))
    assert isinstance(config, LlavaConfig)
    assert config.model_type == "llava"
    assert config.architectures == ["LlavaForConditionalGeneration"]
    assert config.text_config.hidden_size == 64


@pytest.mark.parametrize("config_class", [LlavaConfig, LlavaNextConfig])
def test_any_llava_becomes_a_llava_next(config_class: type[PreTrainedConfig]) -> None:
    config = override_as_llava_next(config_class(text_config=LlamaConfig(hidden_size=64)))
    assert isinstance(config, LlavaNextConfig)
    assert config.model_type == "llava_next"
    assert config.architectures == ["LlavaNextForConditionalGeneration"]
    assert config.text_config.hidden_size == 64


@pytest.mark.parametrize("override", [override_as_llava, override_as_llava_next])
@pytest.mark.parametrize("config", [PreTrainedConfig(), LlamaConfig()])
def test_other_configurations_stay_as_they_are(override: Any, config: PreTrainedConfig) -> None:
    architectures = config.architectures
    assert override(config) is config
    assert config.architectures == architectures


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
