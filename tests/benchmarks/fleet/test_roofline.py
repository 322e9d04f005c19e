"""The arithmetic agrees with docs/sizing.md, with the simulation's defaults and with itself."""

import pytest

from benchmarks.fleet.arithmetic import compute_max_rate
from benchmarks.fleet.hardware import (
    GPUS,
    LLAVA_15_7B,
    LLAVA_15_13B,
    LLAVA_16_7B_MISTRAL,
    MODELS,
    Model,
)
from benchmarks.fleet.parameters import Parameters
from benchmarks.fleet.roofline import Replica
from benchmarks.fleet.sizes import build_sizes
from tests.benchmarks.fleet.cells import build_setup

BY_NAME = {gpu.name: gpu for gpu in GPUS}


@pytest.mark.parametrize(
    ("model", "gpu", "gpus", "tokens"),
    [
        (LLAVA_15_7B, "L4", 1, 13_000),
        (LLAVA_15_7B, "H100", 1, 127_000),
        (LLAVA_15_13B, "H100", 1, 65_900),
        (LLAVA_15_13B, "L4", 2, 17_700),
        (LLAVA_16_7B_MISTRAL, "A10G", 1, 44_400),
        (LLAVA_16_7B_MISTRAL, "A100", 1, 500_000),
    ],
)
def test_kv_cache_as_in_the_docs(model: Model, gpu: str, gpus: int, tokens: int) -> None:
    assert Replica(model, BY_NAME[gpu], gpus).kv_cache_tokens == pytest.approx(tokens, rel=0.005)


def test_what_does_not_fit_serves_nothing() -> None:
    replica = Replica(LLAVA_15_13B, BY_NAME["L4"])
    assert replica.batch == 0
    assert replica.max_rate == 0


def test_the_parameters_are_those_of_an_h100() -> None:
    replica, parameters = Replica(LLAVA_15_7B, BY_NAME["H100"]), Parameters()
    assert parameters.full_prompt_tokens == replica.prompt_tokens
    assert parameters.kv_cache_tokens == pytest.approx(replica.kv_cache_tokens, rel=1e-3)
    assert parameters.encode_s == pytest.approx(replica.encode_s, rel=0.02)
    prefill_s = parameters.full_prompt_tokens * parameters.prefill_s_per_token
    assert prefill_s == pytest.approx(replica.prefill_s, rel=0.02)
    context = replica.prompt_tokens + parameters.answer_mean_tokens / 2
    step_s = parameters.step_s + 100 * context * parameters.step_s_per_token
    assert step_s == pytest.approx(replica.compute_step_s(100), rel=0.02)
    assert compute_max_rate(parameters) == pytest.approx(replica.max_rate, rel=0.03)


@pytest.mark.parametrize("model", MODELS)
def test_more_gpus_are_faster_and_hold_more(model: Model) -> None:
    for gpu in GPUS:
        one, two = Replica(model, gpu, 1), Replica(model, gpu, 2)
        assert two.kv_cache_tokens > 2 * one.kv_cache_tokens
        assert two.max_rate > one.max_rate
        assert two.max_rate < 4 * one.max_rate or one.batch < 8


def test_the_tables_hold_what_fits() -> None:
    sized, plan = build_sizes(build_setup(1)).tables
    assert {record["model"] for record in sized.records} == {model.name for model in MODELS}
    thousand = next(record for record in plan.records if record["GPUs"] == 1000)
    assert thousand["requests/s"] == pytest.approx(14_000, rel=0.05)
    assert thousand["bodies in, MB/s"] == pytest.approx(9_400, rel=0.05)
