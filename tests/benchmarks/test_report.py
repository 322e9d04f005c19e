"""Reports of a run: tables, Markdown, JSON and a chart."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from benchmarks.chart import build_bars, build_title
from benchmarks.formatting import format_number, format_ratio
from benchmarks.journal import Measurement
from benchmarks.report import print_report, render_markdown, write_results
from benchmarks.suites import GPU, TINY
from benchmarks.summary import Summary, summarise
from benchmarks.tables import (
    build_costs,
    build_latencies,
    build_rates,
    build_start_up,
    build_tables,
    build_targets,
    build_text_beside_images,
)
from tests.benchmarks.measurements import build_comparison, build_rounds, summarise_all

RATE = "requests_per_s"
ENVIRONMENT = {"cores": "2", "vLLM": "0.32.0 $a_b$", "llava-server": "1.0"}


def everything() -> list[Measurement]:
    """Build all figures of all workloads, with the widest values."""
    percentiles = ("latency_ms", "ttft_ms", "inter_token_ms")
    figures = {f"{name}_{p}": 123456.7 for name in percentiles for p in ("p50", "p99")}
    figures |= {RATE: 12345.6, "images_per_s": 1234.5, "peak_mib": 123456.0}
    roles = ("server", "engine", "worker", "decode", "other")
    figures |= {"cpu_ms_per_request": 123456.7}
    figures |= {f"cpu_ms_per_request:{role}": 123456.7 for role in roles}
    start = {"ready_s": 20.0, "rest_mib": 12345.0, "after_mib": 12345.0}
    workloads = {each.name: figures for each in TINY.workloads} | {"W10": start}
    return [
        Measurement(number, system, workload, dict(seen))
        for number in (1, 2)
        for system in ("ours", "peer", "engine")
        for workload, seen in workloads.items()
    ]


def printed(summary: Summary) -> str:
    """Return the printed report."""
    file = io.StringIO()
    print_report(summary, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0.00"), (1.234, "1.23"), (12.34, "12.3"), (12345.6, "12,346")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("ratio", "figure", "text"),
    [
        (None, RATE, "-"),
        (1.25, RATE, "1.25"),
        (1.2499, RATE, "1.24"),
        (0.35, "ttft_ms_p99", "0.35"),
        (0.3501, "ttft_ms_p99", "0.36"),
        (np.float64(12.3), RATE, "12.30"),
    ],
)
def test_a_ratio_is_not_rounded_into_its_target(
    ratio: float | None, figure: str, text: str
) -> None:
    assert format_ratio(ratio, figure) == text


def test_rates() -> None:
    summary = summarise_all(
        build_comparison("W1", RATE, 130, 100),
        build_rounds("engine", "W1", RATE, 200),
        build_comparison("W4", RATE, 1, 2),
    )
    assert build_rates(summary).rows == [
        ("W1", "130.0", "100.0", "1.30", "1.25", "yes", "200.0", "0.65", "0.92", "NO"),
        ("W4", "1.00", "2.00", "0.50", "1.60", "NO", "-", "-", "-", "-"),
    ]


def test_rates_with_one_system_only() -> None:
    summary = summarise_all(
        build_rounds("peer", "W1", RATE, 5), build_rounds("ours", "W10", "ready_s", 5)
    )
    assert build_rates(summary).rows == [
        ("W1", "-", "5.00", "-", "1.25", "-", "-", "-", "0.92", "-")
    ]


def test_latencies_are_of_tokens_where_streamed_and_of_answers_elsewhere() -> None:
    summary = summarise_all(
        build_comparison("W1", "latency_ms_p50", 10, 20),
        build_comparison("W2", "latency_ms_p50", 10, 20),
        build_comparison("W2", "ttft_ms_p50", 3, 4),
        build_comparison("W2", "inter_token_ms_p99", 5, 4),
    )
    missing = ("-", "-", "-")
    assert build_latencies(summary).rows == [
        ("W1", "whole answer", "10.0", "20.0", "0.50", *missing),
        ("W2", "first token", "3.00", "4.00", "0.75", *missing),
        ("W2", "between tokens", *missing, "5.00", "4.00", "1.25"),
    ]


def test_costs_have_a_column_for_each_role() -> None:
    grid = build_costs(
        summarise_all(
            build_rounds("ours", "W1", "cpu_ms_per_request", 6),
            build_rounds("ours", "W1", "cpu_ms_per_request:other", 1),
            build_rounds("ours", "W1", "cpu_ms_per_request:server", 2),
            build_rounds("ours", "W1", "cpu_ms_per_request:network", 3),
            build_rounds("peer", "W1", "peak_mib", 2000),
            build_rounds("engine", "W1", "cpu_ms_per_request:alone", 3),
        )
    )
    roles = ("server", "network", "other")
    assert grid.columns == ("workload", "system", "all", *roles, "peak MiB")
    assert grid.rows == [
        ("W1", "ours", "6.00", "2.00", "3.00", "1.00", "-"),
        ("W1", "vLLM", "-", "-", "-", "-", "2,000"),
    ]


def test_text_beside_images() -> None:
    summary = summarise_all(
        build_comparison("W8 alone", "ttft_ms_p50", 5, 10),
        build_comparison("W8 mixed", "ttft_ms_p50", 6, 60),
        build_comparison("W8 mixed", "images_per_s", 3, 2),
    )
    rows = {label: cells for label, *cells in build_text_beside_images(summary).rows}
    assert rows["first token, p50, ms"] == ["5.00", "10.0", "0.50", "6.00", "60.0", "0.10"]
    assert rows["images per second"] == ["-", "-", "-", "3.00", "2.00", "1.50"]
    assert set(rows["between tokens, p99, ms"]) == {"-"}


def test_start_up() -> None:
    summary = summarise_all(
        build_comparison("W10", "ready_s", 5, 10), build_rounds("ours", "W10", "rest_mib", 1500)
    )
    assert build_start_up(summary).rows == [
        ("seconds until ready", "5.00", "10.0", "0.50"),
        ("MiB at rest", "1,500", "-", "-"),
        ("MiB after load", "-", "-", "-"),
    ]


def test_start_up_on_a_gpu() -> None:
    summary = summarise(build_comparison("W10", "gpu_rest_mib", 76_000, 75_000), GPU)
    assert build_start_up(summary).rows[-2:] == [
        ("GPU MiB at rest", "76,000", "75,000", "1.02"),
        ("GPU MiB after load", "-", "-", "-"),
    ]
    assert ("W10", "gpu_rest_mib", "vLLM", "at most 1.00", "1.02", "1.02 to 1.02", "NO") in (
        build_targets(summary).rows
    )


def test_titles_are_of_the_suite() -> None:
    described = render_markdown(summarise(build_comparison("W1", RATE, 130, 100), GPU))
    assert "| W1 | text, 64 clients | 130.0 | 100.0 | 1.30 | 1.00 | yes " in described


def test_list_of_targets() -> None:
    ours, peer = (
        build_rounds("ours", "W1", RATE, 100, 140),
        build_rounds("peer", "W1", RATE, 100, 100),
    )
    rows = build_targets(
        summarise_all(ours, peer, build_comparison("W9 photo", "ttft_ms_p50", 4, 10))
    ).rows
    assert rows[0] == ("W1", RATE, "vLLM", "at least 1.25", "1.20", "1.00 to 1.40", "NO")
    assert ("W9 photo", "ttft_ms_p50", "vLLM", "at most 0.30", "0.40", "0.40 to 0.40", "NO") in rows
    assert rows[-1] == ("W6", RATE, "engine", "at least 0.85", "-", "-", "-")


def test_printed_tables_fit_into_100_columns() -> None:
    summary = summarise(everything())
    lines = printed(summary).splitlines()
    assert max(map(len, lines)) <= 100
    assert not [line for line in lines if "…" in line]
    words = [line.split() for line in lines]
    assert all(
        " ".join(row).split() in words for grid in build_tables(summary) for row in grid.rows
    )


def test_a_report_of_nothing() -> None:
    assert "at least 1.25" in printed(summarise([]))


def test_markdown_has_rates_and_targets() -> None:
    lines = render_markdown(summarise_all(build_comparison("W1", RATE, 130, 100))).splitlines()
    assert lines[0].startswith("| workload | what | ours | vLLM | ratio |")
    assert lines[1] == "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |"
    described = "| W1 | text, 16 clients | 130.0 | 100.0 | 1.30 | 1.25 | yes "
    assert lines[2] == f"{described}| - | - | 0.92 | - |"
    assert lines[3] == ""
    assert "| W1 | requests_per_s | vLLM | at least 1.25 | 1.30 | 1.30 to 1.30 | yes |" in lines


def test_results_as_json(tmp_path: Path) -> None:
    measurements = [
        *build_rounds("ours", "W1", RATE, 100, 140),
        *build_rounds("peer", "W1", RATE, 100, 100),
        *build_comparison("W8 mixed", "ttft_ms_p99", 1, 4),
    ]
    folder = tmp_path / "made" / "where needed"
    write_results(folder, summarise(measurements), measurements, ENVIRONMENT)
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert list(results) == ["environment", "targets", "medians", "rounds"]
    assert results["environment"] == ENVIRONMENT
    assert [Measurement(**each) for each in results["rounds"]] == measurements
    assert results["medians"] == {
        "W1": {"ours": {RATE: 120}, "peer": {RATE: 100}},
        "W8 mixed": {"ours": {"ttft_ms_p99": 1}, "peer": {"ttft_ms_p99": 4}},
    }
    first = {"workload": "W1", "figure": RATE, "against": "peer", "at_least": 1.25}
    measured = {"ratio": 1.2, "lowest": 1.0, "highest": 1.4, "reached": False}
    assert results["targets"][0] == first | measured
    mixed = {"workload": "W8 mixed", "figure": "ttft_ms_p99", "against": "peer", "at_most": 0.35}
    assert (
        mixed | {"ratio": 0.25, "lowest": 0.25, "highest": 0.25, "reached": True}
        in (results["targets"])
    )
    assert results["targets"][1]["reached"] is None


def test_bars_are_of_positive_ratios() -> None:
    summary = summarise_all(
        build_comparison("W1", RATE, 9, 10),
        build_comparison("W2", RATE, 0, 10),
        build_comparison("W8 alone", RATE, 2, 1),
    )
    shown = [(bar.workload, bar.ratio.value, bar.is_reached) for bar in build_bars(summary, "peer")]
    assert shown == [("W1", 0.9, False), ("W8 alone", 2.0, None)]
    assert build_bars(summary, "engine") == []


def test_the_title_names_the_environment() -> None:
    summary = summarise_all(build_rounds("ours", "W1", RATE, 1, 2))
    assert build_title(summary, ENVIRONMENT).splitlines() == [
        "Requests per second, medians (rounds: 2)",
        "cores 2 · vLLM 0.32.0 $a_b$ · llava-server 1.0",
    ]


@pytest.mark.parametrize(
    "measurements",
    [
        everything(),
        # On a logarithmic axis the range of this one has no lower end.
        [
            *build_rounds("ours", "W1", RATE, 0, 90, 100),
            *build_rounds("peer", "W1", RATE, 1, 100, 100),
        ],
        [],
    ],
    ids=["everything", "one with a round of nothing", "nothing"],
)
def test_the_chart_is_drawn(measurements: list[Measurement], tmp_path: Path) -> None:
    write_results(tmp_path, summarise(measurements), measurements, ENVIRONMENT)
    picture = imread(tmp_path / "results.png")
    height, width, _ = picture.shape
    assert width > 1200
    assert height > 400
    colours = {tuple(pixel) for pixel in picture.reshape(-1, picture.shape[2])[::7].tolist()}
    assert len(colours) > 20
