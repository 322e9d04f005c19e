"""Targets, reached and missed."""

import pytest

from benchmarks.summary import ORDER
from benchmarks.targets import TARGETS, outcome, outcomes, target
from tests.benchmarks.measurements import compared, rounds, summary_of

RATE = "requests_per_s"


@pytest.mark.parametrize(("ours", "reached"), [(124, False), (125, True), (200, True)])
def test_at_least(ours: float, reached: bool) -> None:
    found = outcome(summary_of(compared("W1", RATE, ours, 100)), "peer", "W1", RATE)
    assert found
    assert found.target.at_least
    assert found.reached is reached


@pytest.mark.parametrize(("ours", "reached"), [(10, True), (35, True), (36, False)])
def test_at_most(ours: float, reached: bool) -> None:
    summary = summary_of(compared("W8 mixed", "ttft_ms_p99", ours, 100))
    found = outcome(summary, "peer", "W8 mixed", "ttft_ms_p99")
    assert found
    assert not found.target.at_least
    assert found.reached is reached


@pytest.mark.parametrize(("ours", "reached"), [(91, False), (92, True)])
def test_against_the_engine(ours: float, reached: bool) -> None:
    summary = summary_of(compared("W2", RATE, ours, 100, against="engine"))
    found = outcome(summary, "engine", "W2", RATE)
    assert found
    assert found.reached is reached


def test_the_median_decides_not_a_single_round() -> None:
    ours, peer = rounds("ours", "W1", RATE, 10, 130, 140), rounds("peer", "W1", RATE, 100, 100, 100)
    found = outcome(summary_of(ours, peer), "peer", "W1", RATE)
    assert found
    assert found.reached


def test_unmeasured_targets_are_neither_reached_nor_missed() -> None:
    found = outcomes(summary_of(rounds("ours", "W1", RATE, 10)))
    assert [each.target for each in found] == list(TARGETS)
    assert {(each.ratio, each.reached) for each in found} == {(None, None)}


def test_what_has_no_target() -> None:
    summary = summary_of(compared("W8 alone", RATE, 1, 1))
    assert outcome(summary, "peer", "W8 alone", RATE) is None
    assert target("engine", "W4", RATE) is None


def test_each_ratio_has_one_target_and_its_workload_exists() -> None:
    keys = [(each.against, each.workload, each.figure) for each in TARGETS]
    assert len(set(keys)) == len(keys)
    assert {each.workload for each in TARGETS} <= set(ORDER)
