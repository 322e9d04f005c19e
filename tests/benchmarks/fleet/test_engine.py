"""The engine as a model: held against queueing theory and the formulas."""

import random
import statistics

import pytest
import simpy

from benchmarks.fleet.arithmetic import compute_batch, compute_max_rate, compute_work_s
from benchmarks.fleet.conversation import Header
from benchmarks.fleet.engine import Engine, Steps
from benchmarks.fleet.figures import average_samples, measure
from benchmarks.fleet.parameters import Parameters
from benchmarks.fleet.request import Outcome, Request
from benchmarks.fleet.routers import Policy
from benchmarks.fleet.simulation import Simulation
from tests.benchmarks.fleet.cells import build_request, simulate

SINGLE = Parameters(turns_mean=1, image_share=1, zipf_exponent=0, images=10**6, image_cache=10)


def load_one(share: float, seconds: float) -> Simulation:
    """Run one replica at a share of the computed maximum."""
    return simulate(
        share * compute_max_rate(SINGLE),
        replicas=1,
        seconds=seconds,
        policy=Policy.ROUND_ROBIN,
        header=Header.NONE,
        parameters=SINGLE,
    )


def test_at_the_planned_load_time_and_batch_are_as_computed() -> None:
    run = load_one(0.64, 300)
    engine = run.cell.rotation[0].engine
    rate = measure(run).completed
    assert rate == pytest.approx(14, rel=0.05)
    assert engine.prefill_s / 300 == pytest.approx(rate * compute_work_s(SINGLE), rel=0.03)
    expected = compute_batch(SINGLE, rate)
    assert engine.sequence_s / engine.decode_s == pytest.approx(expected, rel=0.1)


def test_it_saturates_at_the_computed_maximum() -> None:
    figures = measure(load_one(1.3, 100))
    assert figures.completed == pytest.approx(22, rel=0.05)
    assert figures.completed + figures.refused == pytest.approx(figures.offered, rel=0.1)
    assert figures.refused > 3


def test_littles_law() -> None:
    run = load_one(0.7, 200)
    done = [r for r in run.counted if r.outcome is Outcome.COMPLETED]
    in_flight = average_samples(run, "in_flight")
    mean_s = statistics.fmean(r.ended_s - r.arrived_s for r in done)
    assert in_flight == pytest.approx(measure(run).completed * mean_s, rel=0.1)


def test_one_sequence_at_a_time_is_a_queue_of_theory() -> None:
    """M/M/1 with half of its capacity used: a mean time of 1 / (mu - lambda) = 2 s."""
    env = simpy.Environment()
    parameters = Parameters(
        max_sequences=1, step_s=0.01, step_s_per_token=0, prefill_s_per_token=1e-9
    )
    generator = random.Random(1)
    ended: list[float] = []

    def finish(request: Request) -> None:
        ended.append(env.now - request.arrived_s)

    engine = Engine(env, parameters, finish)

    def arrive() -> Steps:
        for _ in range(6000):
            yield env.timeout(generator.expovariate(0.5))
            request = build_request(answer=1 + round(generator.expovariate(0.01)), prompt=1)
            request.arrived_s = env.now
            engine.submit(request)

    env.process(arrive())
    env.run()
    assert len(ended) == 6000
    assert statistics.fmean(ended) == pytest.approx(2.0, rel=0.1)


def test_a_request_alone_takes_its_prefill_and_its_steps() -> None:
    env = simpy.Environment()
    parameters = Parameters(step_s=0.01, step_s_per_token=0, encode_s=0.002)
    engine = Engine(env, parameters, lambda request: request.end(Outcome.COMPLETED, env.now))
    request = build_request(image=1, answer=11)
    engine.submit(request)
    env.run()
    prefill_s = 0.002 + 640 * parameters.prefill_s_per_token
    assert request.first_token_s == pytest.approx(prefill_s)
    assert request.ended_s == pytest.approx(prefill_s + 10 * 0.01)


def test_a_second_arrival_waits_for_the_step_only() -> None:
    env = simpy.Environment()
    parameters = Parameters(step_s=0.01, step_s_per_token=0, prefill_s_per_token=1e-6)
    engine = Engine(env, parameters, lambda request: request.end(Outcome.COMPLETED, env.now))
    first, second = build_request(answer=100), build_request(answer=1)
    engine.submit(first)
    env.run(until=0.1234)
    engine.submit(second)
    env.run()
    assert 0.1234 < second.first_token_s < 0.1234 + 2 * 0.01 + 2e-3
    assert first.ended_s == pytest.approx(0.99 + 2 * 640e-6, abs=1e-3)
