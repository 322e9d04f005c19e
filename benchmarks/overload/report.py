"""The report: our server and vLLM's under overload, and whether the targets are reached."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TextIO

from rich.console import Console

from asking.files import write_atomically
from benchmarks.formatting import MISSING, format_number
from benchmarks.journal import Measurement
from benchmarks.overload.loads import LOADS
from benchmarks.report import WIDTH, build_rich_table, render_table
from benchmarks.summary import OURS, PEER, Summary, summarise
from benchmarks.tables import NAMES, TextTable

FAIRNESS: Final = "fairness"


@dataclass(frozen=True, slots=True)
class OverloadTarget:
    """A bound on one of our own figures."""

    figure: str
    title: str
    bound: float
    is_lower_bound: bool

    def is_reached_by(self, value: float) -> bool:
        """Whether a figure reaches the target."""
        return value >= self.bound if self.is_lower_bound else value <= self.bound


TARGETS: Final = (
    OverloadTarget("goodput_ratio", "goodput over that at saturation", 0.9, is_lower_bound=True),
    OverloadTarget(
        "p99_ratio", "p99 of admitted over that at saturation", 2.0, is_lower_bound=False
    ),
    OverloadTarget("refusal_ms_p99", "p99 of a 429, ms", 100.0, is_lower_bound=False),
)
POLITE_TARGET: Final = OverloadTarget(
    "polite_share", "polite key beside a flood, of its rate alone", 0.4, is_lower_bound=True
)
SATURATION_COLUMNS: Final = {
    "clients": "saturating_clients",
    "req/s": "saturation_goodput_per_s",
    "p50, ms": "saturation_latency_ms_p50",
    "p99, ms": "saturation_latency_ms_p99",
}
OVERLOAD_COLUMNS: Final = {
    "clients": "clients",
    "req/s": "goodput_per_s",
    "p50, ms": "latency_ms_p50",
    "p99, ms": "latency_ms_p99",
    "429/s": "refusals_per_s",
    "429 p99, ms": "refusal_ms_p99",
    "errors": "errors",
    "load's cores": "generator_cores",
    "starved": "server_starved",
}
SIDE_COLUMNS: Final = {
    "/health p99, ms": "health_ms_p99",
    "max, ms": "health_ms_max",
    "MiB before": "before_mib",
    "peak": "peak_mib",
    "after": "after_mib",
}


def build_overload_tables(measurements: Sequence[Measurement]) -> list[TextTable]:
    """Build all tables of the report, the targets last."""
    summary = summarise(measurements)
    return [
        _build_figures_table(summary, "At saturation", SATURATION_COLUMNS),
        _build_figures_table(summary, "At ten times its clients", OVERLOAD_COLUMNS),
        _build_figures_table(summary, "Health and memory, overloaded", SIDE_COLUMNS),
        _build_targets_table(summary),
    ]


def print_overload_report(tables: Sequence[TextTable], file: TextIO | None = None) -> None:
    """Print tables to `file`, by default stdout."""
    console = Console(file=file, width=WIDTH, markup=False, highlight=False)
    for table in tables:
        console.print(build_rich_table(table))


def write_overload_results(
    folder: Path,
    tables: Sequence[TextTable],
    measurements: Sequence[Measurement],
    environment: Mapping[str, str],
) -> None:
    """Write `results.json` and `results.md` into a folder."""
    results = {
        "environment": dict(environment),
        "rounds": [asdict(each) for each in measurements],
    }
    text = json.dumps(results, ensure_ascii=False, indent=2)
    write_atomically(folder / "results.json", [text, "\n"])
    rendered = (f"{table.title}:\n\n{render_table(table)}" for table in tables)
    write_atomically(folder / "results.md", ["\n".join(rendered)])


def _build_figures_table(summary: Summary, title: str, columns: Mapping[str, str]) -> TextTable:
    rows = [
        (load.title, NAMES[system], *_format_cells(summary, system, load.name, columns.values()))
        for load in LOADS
        for system in (OURS, PEER)
        if summary.median(system, f"{load.name} overload", "clients") is not None
    ]
    return TextTable(title, ("load", "server", *columns), rows, labels=2)


def _format_cells(
    summary: Summary, system: str, load: str, figures: Iterable[str]
) -> Iterable[str]:
    for figure in figures:
        yield format_number(summary.median(system, f"{load} overload", figure))


def _build_targets_table(summary: Summary) -> TextTable:
    rows = [
        _build_target_row(summary, target, f"{load.name} overload", load.title)
        for load in LOADS
        for target in TARGETS
    ]
    rows.append(_build_target_row(summary, POLITE_TARGET, FAIRNESS, "two keys, text"))
    columns = ("load", "figure", "target", "ours", "reached", "vLLM", "reached")
    return TextTable("Targets", columns, [row for row in rows if row[3] != MISSING], labels=2)


def _build_target_row(
    summary: Summary, target: OverloadTarget, workload: str, title: str
) -> tuple[str, ...]:
    cells: list[str] = []
    for system in (OURS, PEER):
        value = summary.median(system, workload, target.figure)
        cells.append(format_number(value))
        cells.append(_format_verdict(target, value))
    bound = f"{'at least' if target.is_lower_bound else 'at most'} {target.bound:g}"
    return (title, target.title, bound, *cells)


def _format_verdict(target: OverloadTarget, value: float | None) -> str:
    if value is None:
        return MISSING
    return "yes" if target.is_reached_by(value) else "NO"
