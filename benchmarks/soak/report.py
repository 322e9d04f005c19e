"""The report of a soak: Markdown, JSON and a chart."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from asking.files import write_atomically
from benchmarks.formatting import MISSING, format_number
from benchmarks.percentiles import compute_percentiles
from benchmarks.report import render_table
from benchmarks.soak.chart import draw_soak_chart
from benchmarks.soak.timeline import GOOD_OUTCOMES, Timeline
from benchmarks.tables import TextTable

FAILED: Final = "failed"
# Rows of the tables over time.
MAX_ROWS: Final = 12


def write_soak_report(
    folder: Path, timeline: Timeline, reasons: Sequence[str], environment: Mapping[str, str]
) -> str:
    """Write `soak.md`, `soak.json` and `soak.png` into a folder. Return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown = render_soak(timeline, reasons, environment)
    write_atomically(folder / "soak.md", [markdown])
    results = json.dumps(build_results(timeline, reasons, environment), indent=2)
    write_atomically(folder / "soak.json", [results, "\n"])
    draw_soak_chart(timeline, folder / "soak.png")
    return markdown


def render_soak(timeline: Timeline, reasons: Sequence[str], environment: Mapping[str, str]) -> str:
    """Render the verdict and all tables."""
    measured = " · ".join(f"{name} {value}" for name, value in environment.items())
    tables = (
        build_outcome_table(timeline),
        build_fault_table(timeline),
        build_latency_table(timeline),
        build_resource_table(timeline),
    )
    verdict = ["Verdict: passed."] if not reasons else ["Verdict: FAILED.", ""]
    verdict += [f"- {reason}" for reason in reasons]
    rendered = [f"## {table.title}\n\n{render_table(table)}" for table in tables]
    return "\n".join(["# Soak", "", measured, "", *verdict, "", *rendered])


def build_results(
    timeline: Timeline, reasons: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return everything as JSON; latencies as percentiles of each window."""
    return {
        "environment": dict(environment),
        "passed": not reasons,
        "reasons": list(reasons),
        "failures": dict(timeline.failures),
        "faults": [asdict(fault) for fault in timeline.faults],
        "resources": [asdict(each) for each in timeline.resources],
        "windows": [
            {
                "start_s": window.start_s,
                "outcomes": [[*key, count] for key, count in sorted(window.outcomes.items())],
                "latencies": {
                    kind: compute_percentiles("ms", seconds)
                    for kind, seconds in sorted(window.latencies_s.items())
                },
            }
            for window in timeline.windows
        ],
    }


def build_outcome_table(timeline: Timeline) -> TextTable:
    """Build the counts of requests by kind and outcome, and their latency."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    latencies_s: dict[str, list[float]] = defaultdict(list)
    for window in timeline.windows:
        for (kind, outcome), count in window.outcomes.items():
            counts[kind][outcome if outcome in GOOD_OUTCOMES else FAILED] += count
        for kind, seconds in window.latencies_s.items():
            latencies_s[kind] += seconds
    columns = (*GOOD_OUTCOMES, FAILED)
    rows = [
        (kind, *(str(counts[kind][outcome]) for outcome in columns), *_format(latencies_s[kind]))
        for kind in sorted(counts)
    ]
    totals = (str(sum(counts[kind][each] for kind in counts)) for each in columns)
    rows.append(("all", *totals, *_format([t for each in latencies_s.values() for t in each])))
    return TextTable("Requests", ("kind", *columns, "p50, ms", "p99, ms"), rows)


def build_fault_table(timeline: Timeline) -> TextTable:
    """Build the list of faults, each with its recovery."""
    rows: list[tuple[str, ...]] = [
        (
            fault.name,
            f"{fault.start_s:.0f}",
            MISSING if fault.recovery_s is None else format_number(fault.recovery_s),
        )
        for fault in timeline.faults
    ]
    return TextTable("Faults", ("fault", "at, s", "recovered after, s"), rows)


def build_latency_table(timeline: Timeline) -> TextTable:
    """Build requests a second and latency over time."""
    rows: list[tuple[str, ...]] = []
    for windows in _group(timeline.windows):
        seconds = [t for each in windows for kind in each.latencies_s.values() for t in kind]
        total = sum(count for each in windows for count in each.outcomes.values())
        rate = total / (timeline.window_s * len(windows))
        rows.append((f"{windows[0].start_s:.0f}", format_number(rate), *_format(seconds)))
    columns = ("from, s", "requests/s", "p50, ms", "p99, ms")
    return TextTable("Over time", columns, rows)


def build_resource_table(timeline: Timeline) -> TextTable:
    """Build what the server held over time."""
    rows: list[tuple[str, ...]] = [
        (
            f"{each.time_s:.0f}",
            f"{each.memory:.0f}",
            f"{each.memory_of_all:.0f}",
            str(each.files),
            str(each.threads),
            str(each.processes),
        )
        for each in (group[-1] for group in _group(timeline.resources))
    ]
    columns = ("at, s", "server, MiB", "all, MiB", "files", "threads", "processes")
    return TextTable("Resources", columns, rows)


def _group(items: Sequence[Any]) -> list[Sequence[Any]]:
    """Split a sequence into `MAX_ROWS` stretches at most."""
    size = max(1, -(-len(items) // MAX_ROWS))
    return [items[start : start + size] for start in range(0, len(items), size)]


def _format(seconds: Sequence[float]) -> tuple[str, str]:
    figures = compute_percentiles("ms", seconds)
    return format_number(figures.get("ms_p50")), format_number(figures.get("ms_p99"))
