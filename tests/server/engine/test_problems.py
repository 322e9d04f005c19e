"""What the checkpoint or the machine does not have, and its remedies."""

import os
from dataclasses import replace
from typing import Any

import pytest

from server.checkpoint.config import Checkpoint
from server.checkpoint.language_model import LanguageModel
from server.engine.problems import ONLINE_QUANTIZATIONS, find_engine_problems
from server.settings import Settings

VICUNA_7B = LanguageModel(32, 32, 11008, 32064)
VICUNA_13B = LanguageModel(40, 40, 13824, 32064)
MISTRAL_7B = LanguageModel(32, 8, 14336, 32064)
YI_34B = LanguageModel(56, 8, 20480, 64064)


def problems(
    checkpoint: Checkpoint, language_model: LanguageModel = VICUNA_7B, **settings: Any
) -> dict[str, str]:
    on_cpu = settings.pop("on_cpu", False)
    checkpoint = replace(checkpoint, language_model=language_model)
    return dict(find_engine_problems(Settings(**settings), checkpoint, on_cpu=on_cpu))


@pytest.mark.parametrize(
    ("model", "sizes"),
    [
        (VICUNA_7B, {1, 2, 4, 8, 16, 32}),
        (VICUNA_13B, {1, 2, 4, 8}),
        (MISTRAL_7B, {1, 2, 4, 8, 16, 32}),
        (YI_34B, {1, 2, 4, 8}),
        (LanguageModel(), set(range(1, 65))),
    ],
)
def test_numbers_of_gpus_that_share_a_model(model: LanguageModel, sizes: set[int]) -> None:
    assert {size for size in range(1, 65) if model.find_unshared(size) is None} == sizes


@pytest.mark.parametrize(
    ("model", "gpus", "message"),
    [
        (VICUNA_7B, 3, "3 does not divide the model's 32 attention heads: take one of 1, 2, 4,"),
        (VICUNA_13B, 5, "5 does not divide the model's 13824 rows of the MLP: take one of 1, 2,"),
        (
            LanguageModel(12, 12, 12, 100),
            12,
            "12 does not divide the model's 128 rows of the padded vocabulary: take one of 1, 2, 4",
        ),
        (
            LanguageModel(12, 4, 12, 192),
            6,
            "6 does not divide the model's 4 key-value heads: take one of 1, 2, 4, 12",
        ),
    ],
)
def test_gpus_that_cannot_share_the_model(
    checkpoint: Checkpoint, model: LanguageModel, gpus: int, message: str
) -> None:
    found = problems(checkpoint, model, tensor_parallel_size=gpus)
    assert found["tensor_parallel_size"].startswith(message)


def test_a_step_that_is_too_small_for_an_image(checkpoint: Checkpoint) -> None:
    tokens = checkpoint.max_image_tokens
    assert problems(checkpoint, max_num_batched_tokens=tokens) == {}
    found = problems(checkpoint, max_num_batched_tokens=tokens - 1)
    assert f"{tokens - 1} is less than the {tokens} tokens" in found["max_num_batched_tokens"]


CPU_PROBLEMS: list[tuple[dict[str, Any], str]] = [
    ({"quantization": "fp8"}, "fp8 quantisation needs a GPU: on a CPU take a checkpoint"),
    ({"kv_cache_dtype": "nvfp4"}, "nvfp4 needs a GPU: take one of auto, fp8,"),
    ({"kv_offloading_gib": 1.0}, "raise --cpu-kv-cache-gib"),
]


@pytest.mark.parametrize(("settings", "message"), CPU_PROBLEMS)
def test_what_a_cpu_lacks(checkpoint: Checkpoint, settings: dict[str, Any], message: str) -> None:
    (name,) = settings
    assert problems(checkpoint, **settings) == {}
    assert message in problems(checkpoint, on_cpu=True, **settings)[name]


def test_more_processes_than_cores(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert problems(checkpoint, on_cpu=True, tensor_parallel_size=2) == {}
    found = problems(checkpoint, on_cpu=True, tensor_parallel_size=4)
    assert found["tensor_parallel_size"] == "4 processes have only 2 CPU cores: take fewer"


@pytest.mark.parametrize("method", ["awq", "gptq", "compressed-tensors", "quark"])
def test_methods_that_need_a_quantised_checkpoint(checkpoint: Checkpoint, method: str) -> None:
    found = problems(checkpoint, quantization=method)
    assert found["quantization"].startswith(f"{method} needs a checkpoint that is quantised by it")
    assert problems(checkpoint, replace(VICUNA_7B, quantization=method), quantization=method) == {}


@pytest.mark.parametrize("method", ONLINE_QUANTIZATIONS)
def test_methods_that_quantise_while_they_load(checkpoint: Checkpoint, method: str) -> None:
    assert problems(checkpoint, quantization=method) == {}


@pytest.mark.parametrize("method", ["awq", "gptq", "compressed-tensors"])
def test_quantised_checkpoints_that_a_cpu_runs(checkpoint: Checkpoint, method: str) -> None:
    model = replace(VICUNA_7B, quantization=method)
    assert problems(checkpoint, model, on_cpu=True) == {}


def test_a_quantised_checkpoint_that_a_cpu_does_not_run(checkpoint: Checkpoint) -> None:
    model = replace(VICUNA_7B, quantization="modelopt_fp4")
    assert problems(checkpoint, model) == {}
    assert (
        "modelopt_fp4 quantisation needs a GPU" in problems(checkpoint, model, on_cpu=True)["model"]
    )


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"on_cpu": True, "cpu_kv_cache_gib": 4}, "cpu_kv_cache_gib"),
        ({"on_cpu": True, "cpu_kv_cache_gib": 3}, None),
        ({"on_cpu": True, "cpu_kv_cache_gib": 2, "tensor_parallel_size": 2}, "cpu_kv_cache_gib"),
        ({"cpu_kv_cache_gib": 4}, None),
        ({"kv_offloading_gib": 4.5}, "kv_offloading_gib"),
        ({"kv_offloading_gib": 3.5}, None),
    ],
)
def test_a_kv_cache_must_fit_the_memory(
    settings: dict[str, Any],
    name: str | None,
    checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("server.engine.problems.read_memory_limit", lambda: 4 * 1024**3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    found = problems(checkpoint, **settings)
    assert found.keys() == ({name} if name else set())
    assert all("has 4.0 GiB of memory" in text for text in found.values())
