"""Targets, reached and missed."""

import pytest

from benchmarks.suites import CPU, GPU, SUITES, TINY, Suite
from benchmarks.summary import START_UP, summarise
from benchmarks.targets import TARGETS, compare_ratio, compare_targets, find_target
from tests.benchmarks.measurements import build_comparison, build_rounds, summarise_all

RATE = "requests_per_s"


@pytest.mark.parametrize(("ours", "reached"), [(124, False), (125, True), (200, True)])
def test_at_least(ours: float, reached: bool) -> None:
    found = compare_ratio(
        summarise_all(build_comparison("W1", RATE, ours, 100)), "peer", "W1", RATE
    )
    assert found
    assert found.target.is_lower_bound
    assert found.is_reached is reached


@pytest.mark.parametrize(("ours", "reached"), [(10, True), (35, True), (36, False)])
def test_at_most(ours: float, reached: bool) -> None:
    summary = summarise_all(build_comparison("W8 mixed", "ttft_ms_p99", ours, 100))
    found = compare_ratio(summary, "peer", "W8 mixed", "ttft_ms_p99")
    assert found
    assert not found.target.is_lower_bound
    assert found.is_reached is reached


@pytest.mark.parametrize(("ours", "reached"), [(91, False), (92, True)])
def test_against_the_engine(ours: float, reached: bool) -> None:
    summary = summarise_all(build_comparison("W2", RATE, ours, 100, against="engine"))
    found = compare_ratio(summary, "engine", "W2", RATE)
    assert found
    assert found.is_reached is reached


def test_the_median_decides_not_a_single_round() -> None:
    ours, peer = (
        build_rounds("ours", "W1", RATE, 10, 130, 140),
        build_rounds("peer", "W1", RATE, 100, 100, 100),
    )
    found = compare_ratio(summarise_all(ours, peer), "peer", "W1", RATE)
    assert found
    assert found.is_reached


def test_unmeasured_targets_are_neither_reached_nor_missed() -> None:
    found = compare_targets(summarise_all(build_rounds("ours", "W1", RATE, 10)))
    assert [each.target for each in found] == list(TARGETS[TINY.name])
    assert {(each.ratio, each.is_reached) for each in found} == {(None, None)}


def test_a_shape_has_targets_of_its_own() -> None:
    found = compare_targets(summarise(build_comparison("S2", "ttft_ms_p50", 9, 10), CPU))
    assert [each.target for each in found] == list(TARGETS[CPU.name])
    assert [each.is_reached for each in found if each.ratio] == [True]


def test_what_has_no_target() -> None:
    summary = summarise_all(build_comparison("W8 alone", RATE, 1, 1))
    assert compare_ratio(summary, "peer", "W8 alone", RATE) is None
    assert find_target(TINY, "engine", "W4", RATE) is None


def test_one_workload_has_other_targets_on_a_gpu() -> None:
    measurements = build_comparison("W1", RATE, 110, 100)
    outcomes = [
        compare_ratio(summarise(measurements, suite), "peer", "W1", RATE) for suite in (TINY, GPU)
    ]
    assert [each and (each.target.bound, each.is_reached) for each in outcomes] == [
        (1.25, False),
        (1.0, True),
    ]


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_each_ratio_has_one_target_and_its_workload_exists(suite: Suite) -> None:
    targets = TARGETS[suite.name]
    keys = [(each.against, each.workload, each.figure) for each in targets]
    assert len(set(keys)) == len(keys)
    assert {each.workload for each in targets} <= {*suite.names, START_UP}
    of_engine = {each.workload for each in targets if each.against == "engine"}
    assert of_engine <= set(suite.engine_workloads)
