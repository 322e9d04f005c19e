"""Medians, ranges and ratios over rounds."""

from benchmarks.journal import Measurement
from benchmarks.summary import FigureKey, Ratio, Spread, is_higher_better, summarise
from tests.benchmarks.measurements import build_comparison, build_rounds, summarise_all

RATE = "requests_per_s"


def test_median_and_range_over_rounds() -> None:
    summary = summarise_all(build_rounds("ours", "W1", RATE, 30, 10, 14))
    assert summary.spreads == {FigureKey("ours", "W1", RATE): Spread(14, 10, 30)}
    assert summary.median("ours", "W1", RATE) == 14
    assert summary.rounds == 3


def test_median_of_two_rounds_is_their_mean() -> None:
    assert summarise_all(build_rounds("ours", "W1", RATE, 10, 20)).median("ours", "W1", RATE) == 15


def test_ratio_is_of_medians_and_its_range_is_of_rounds() -> None:
    ours, peer = (
        build_rounds("ours", "W1", RATE, 10, 20, 60),
        build_rounds("peer", "W1", RATE, 8, 10, 15),
    )
    # Medians 20 and 10; in their rounds 10/8, 20/10 and 60/15.
    assert summarise_all(ours, peer).ratio("peer", "W1", RATE) == Ratio(2, 1.25, 4)


def test_ratios_to_the_engine_are_apart_from_those_to_the_peer() -> None:
    summary = summarise_all(
        build_comparison("W1", RATE, 9, 3), build_rounds("engine", "W1", RATE, 10)
    )
    assert summary.ratio("peer", "W1", RATE) == Ratio(3, 3, 3)
    assert summary.ratio("engine", "W1", RATE) == Ratio(0.9, 0.9, 0.9)


def test_rounds_without_a_figure_do_not_count_for_it() -> None:
    ours = build_rounds("ours", "W1", RATE, 10, 20, 30)
    peer = [Measurement(0, "peer", "W1", {}), Measurement(2, "peer", "W1", {RATE: 10})]
    assert summarise_all(ours, peer).ratio("peer", "W1", RATE) == Ratio(2, 3, 3)


def test_systems_measured_in_different_rounds_have_a_ratio_without_range() -> None:
    ours, peer = Measurement(0, "ours", "W1", {RATE: 6}), Measurement(1, "peer", "W1", {RATE: 3})
    assert summarise([ours, peer]).ratio("peer", "W1", RATE) == Ratio(2, None, None)


def test_what_was_not_measured_is_none() -> None:
    summary = summarise_all(build_rounds("ours", "W1", RATE, 1))
    assert summary.median("peer", "W1", RATE) is None
    assert summary.median("ours", "W1", "ttft_ms_p50") is None
    assert summary.ratio("peer", "W1", RATE) is None


def test_no_ratio_to_nothing() -> None:
    assert summarise_all(build_comparison("W1", RATE, 5, 0)).ratio("peer", "W1", RATE) is None
    assert summarise_all(build_comparison("W1", RATE, 0, 5)).ratio("peer", "W1", RATE) == Ratio(
        0, 0, 0
    )


def test_of_a_repeated_round_the_last_counts() -> None:
    repeated = [Measurement(0, "ours", "W1", {RATE: value}) for value in (1, 2)]
    assert summarise(repeated).spreads == {FigureKey("ours", "W1", RATE): Spread(2, 2, 2)}


def test_workloads_come_in_their_order_and_unknown_ones_last() -> None:
    names = ("W99", "W10", "W8 mixed", "W2", "W1")
    summary = summarise_all(*(build_rounds("ours", name, RATE, 1) for name in names))
    assert summary.workloads == ("W1", "W2", "W8 mixed", "W10", "W99")


def test_nothing_measured() -> None:
    summary = summarise([])
    assert (summary.spreads, summary.ratios, summary.rounds) == ({}, {}, 0)
    assert summary.workloads == ()


def test_only_of_rates_more_is_better() -> None:
    assert is_higher_better("images_per_s")
    assert not is_higher_better("ttft_ms_p50")
    assert not is_higher_better("ready_s")
    assert not is_higher_better("rest_mib")
