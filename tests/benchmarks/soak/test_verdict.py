"""What makes a soak fail."""

from dataclasses import replace

import pytest

from benchmarks.soak.timeline import GOOD_OUTCOMES, OUTAGE, Fault, Resources, Timeline
from benchmarks.soak.verdict import Ending, find_growth, find_reasons

GOOD_ENDING = Ending(exit_code=0, permits=0)
SAMPLE = Resources(0.0, memory=900, memory_of_all=3000, files=80, threads=40, processes=6)


@pytest.fixture
def timeline() -> Timeline:
    """Return a timeline on which all went well."""
    timeline = Timeline(600)
    for outcome in GOOD_OUTCOMES:
        timeline.record("text", outcome, 0.1)
    timeline.faults.append(Fault("decode workers killed", 20, 20, recovery_s=1.5))
    timeline.resources += [replace(SAMPLE, time_s=float(second)) for second in range(50)]
    return timeline


def test_good_outcomes_pass(timeline: Timeline) -> None:
    assert find_reasons(timeline, GOOD_ENDING) == []


def test_other_outcomes_fail(timeline: Timeline) -> None:
    timeline.record("text", "status 500: oh", 0.1)
    timeline.record("text", "status 500: oh", 0.1)
    assert find_reasons(timeline, GOOD_ENDING) == ["2 x text: status 500: oh"]


def test_a_fault_without_recovery_fails(timeline: Timeline) -> None:
    timeline.faults.append(Fault("image host down", 40, 45))
    assert find_reasons(timeline, GOOD_ENDING) == ["no recovery from: image host down at 40 s"]


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (Ending(exit_code=1, permits=0), "exit code 1 after SIGTERM"),
        (Ending(exit_code=0, permits=2), "2 permits were not given back"),
    ],
)
def test_the_end_counts(timeline: Timeline, ending: Ending, reason: str) -> None:
    assert find_reasons(timeline, ending) == [reason]


def test_growth_fails() -> None:
    flat = [replace(SAMPLE, time_s=float(second)) for second in range(50)]
    assert find_growth(flat) == []
    growing = [
        replace(each, memory=900 + 10 * each.time_s, files=int(80 + 4 * each.time_s))
        for each in flat
    ]
    assert find_growth(growing) == ["MiB of memory: from 1045 to 1345", "files: from 138 to 258"]


def test_few_samples_fail() -> None:
    [reason] = find_growth([SAMPLE, replace(SAMPLE, memory=5000)])
    assert reason == "growth is unknown: 2 samples since the last start are too few"


def test_a_restart_near_the_end_fails(timeline: Timeline) -> None:
    timeline.restarted_s = 45
    [reason] = find_reasons(timeline, GOOD_ENDING)
    assert reason.startswith("growth is unknown: 5 samples")


def test_windows_are_bounded_in_number() -> None:
    assert Timeline(10).window_s == 5
    assert Timeline(36_000).window_s == 300


def test_failures_of_a_restart_are_known(timeline: Timeline) -> None:
    with timeline.outage():
        assert timeline.is_outage
    assert not timeline.is_outage
    timeline.record("text", OUTAGE, 1.0)
    assert not timeline.failures
