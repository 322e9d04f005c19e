"""Options that vLLM refuses, before any weight loads; each in one line."""

import os
from typing import Any

import pytest
import torch
from pydantic import BaseModel, ValidationError, field_validator
from vllm.platforms import current_platform

from server.checkpoint.config import Checkpoint, CheckpointError
from server.engine.start_failure import EngineStartError
from server.engine.vllm import configuration
from server.engine.vllm.configuration import explain
from server.engine_loading import configure_engine
from server.settings import Settings

CPU = torch.device("cpu")


def configure(checkpoint: Checkpoint, **settings: Any) -> None:
    configure_engine(Settings(accelerator="cpu", **settings), checkpoint, "m", CPU)


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"dtype": "half"},
    {"kv_cache_dtype": "fp8"},
    {"tensor_parallel_size": 2},
    {"quantization": "int8_per_channel_weight_only"},
    {"engine_args": {"max_logprobs": 50}},
    {
        "speculative_config": {
            "method": "ngram",
            "num_speculative_tokens": 3,
            "prompt_lookup_max": 4,
        }
    },
]


@pytest.mark.parametrize("settings", ACCEPTED, ids=str)
def test_what_a_cpu_can_do_is_accepted(
    checkpoint: Checkpoint, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    configure(checkpoint, **settings)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"tensor_parallel_size": 3}, "--tensor-parallel-size: 3 does not divide the model's 4 atten"),
    ({"max_model_len": 100_000}, "max-model-len 100000 exceeds this model's 2048"),
    ({"engine_args": {"max_logprobs": "x"}}, "options: max_logprobs: Input should be a valid int"),
    ({"engine_args": {"block_size": -1}}, "options: block_size: Input should be greater than 0"),
    ({"engine_args": {"scheduling_policy": "lifo"}}, "options: policy: Input should be 'fcfs' or"),
    ({"speculative_config": {"method": "ngram"}}, "options: num_speculative_tokens must be provi"),
    ({"speculative_config": {"method": "guess"}}, "options: method: Input should be 'ngram',"),
    ({"compilation_config": {"mode": "x"}}, "options: mode: Invalid compilation mode: x."),
    ({"distributed_executor_backend": "ray"}, "needs Ray, which is not installed"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED, ids=str)
def test_what_cannot_work_is_refused(
    checkpoint: Checkpoint,
    settings: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(configuration, "find_spec", lambda _: None)
    with pytest.raises((CheckpointError, EngineStartError)) as caught:
        configure(checkpoint, **settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def no_bfloat16(_: object, dtype: torch.dtype) -> None:
    """Refuse what GPUs before Ampere lack, as vLLM does."""
    if dtype is torch.bfloat16:
        raise ValueError("Bfloat16 is only supported on GPUs")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tensor_parallel_size": 2}, "--tensor-parallel-size 2 exceeds the 1 GPUs"),
        ({}, "this GPU does not compute in bfloat16: take --dtype float16"),
    ],
)
def test_what_an_old_gpu_lacks(
    checkpoint: Checkpoint,
    settings: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = type(current_platform)
    monkeypatch.setattr(platform, "is_cuda", lambda _: True)
    monkeypatch.setattr(platform, "device_count", lambda _: 1, raising=False)
    monkeypatch.setattr(platform, "check_if_supports_dtype", no_bfloat16)
    with pytest.raises(CheckpointError, match=message):
        configure(checkpoint, **settings)


class Strict(BaseModel):
    """A model with errors of pydantic's and of its own."""

    size: int = 1

    @field_validator("size")
    @classmethod
    def _check(cls, size: int) -> int:
        if size < 0:
            raise ValueError("is negative\nread on")
        return size


@pytest.mark.parametrize(
    ("value", "text"),
    [("x", "size: Input should be a valid integer"), (-1, "size: is negative")],
)
def test_a_validation_error_in_one_line(value: object, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Strict.model_validate({"size": value})
    assert explain(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("error", "text"), [(ValueError("a\nb"), "a"), (AssertionError(), "AssertionError")]
)
def test_an_error_in_one_line(error: Exception, text: str) -> None:
    assert explain(error) == text
