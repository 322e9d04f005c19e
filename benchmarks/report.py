"""Shows a run: tables for people, Markdown for the docs, JSON and a chart to keep."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TextIO

from rich import box
from rich.console import Console
from rich.table import Table

from asking.files import write_atomically
from benchmarks.chart import draw_chart
from benchmarks.journal import Measurement
from benchmarks.summary import Summary
from benchmarks.tables import Grid, grids, rates, targets
from benchmarks.targets import Outcome, outcomes
from benchmarks.workloads import WORKLOADS

WIDTH: Final = 100  # the same on a narrow terminal and in a file


def print_report(summary: Summary, file: TextIO | None = None) -> None:
    """Print all tables, to stdout where no file is given."""
    console = Console(file=file, width=WIDTH, markup=False, highlight=False)
    for grid in grids(summary):
        console.print(_table(grid))


def render_markdown(summary: Summary) -> str:
    """Return the table of rates and the list of targets, for the docs."""
    titles = {each.name: each.title for each in WORKLOADS}
    grid = rates(summary)
    rows = [(name, titles.get(name, ""), *cells) for name, *cells in grid.rows]
    described = Grid(grid.title, (grid.columns[0], "what", *grid.columns[1:]), rows, labels=2)
    return f"{_markdown(described)}\n{_markdown(targets(summary))}"


def write_results(
    folder: Path,
    summary: Summary,
    measurements: Sequence[Measurement],
    environment: Mapping[str, str],
) -> None:
    """Write `results.json` and `results.png` into a folder, which is made where needed."""
    results = {
        "environment": dict(environment),
        "targets": [_outcome_record(each) for each in outcomes(summary)],
        "medians": _medians(summary),
        "rounds": [asdict(each) for each in measurements],
    }
    text = json.dumps(results, ensure_ascii=False, indent=2)
    write_atomically(folder / "results.json", [text, "\n"])
    draw_chart(summary, environment, folder / "results.png")


def _table(grid: Grid) -> Table:
    table = Table(title=grid.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(grid.columns):
        table.add_column(column, justify="left" if number < grid.labels else "right")
    for row in grid.rows:
        table.add_row(*row)
    return table


def _markdown(grid: Grid) -> str:
    rules = ["---" if number < grid.labels else "--:" for number in range(len(grid.columns))]
    lines = [f"| {' | '.join(row)} |" for row in (grid.columns, rules, *grid.rows)]
    return "\n".join(lines) + "\n"


def _outcome_record(outcome: Outcome) -> dict[str, Any]:
    target, ratio = outcome.target, outcome.ratio
    return {
        "workload": target.workload,
        "figure": target.figure,
        "against": target.against,
        "at_least" if target.at_least else "at_most": target.bound,
        "ratio": ratio.value if ratio else None,
        "lowest": ratio.low if ratio else None,
        "highest": ratio.high if ratio else None,
        "reached": outcome.reached,
    }


def _medians(summary: Summary) -> dict[str, dict[str, dict[str, float]]]:
    """Medians by workload, system and figure."""
    nested: dict[str, dict[str, dict[str, float]]] = {name: {} for name in summary.workloads}
    for (system, workload, figure), spread in summary.spreads.items():
        nested[workload].setdefault(system, {})[figure] = spread.median
    return nested
