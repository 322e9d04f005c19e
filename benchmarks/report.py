"""Reports a run as printed tables, Markdown, JSON and a chart."""

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
from benchmarks.tables import TextTable, build_rates, build_tables, build_targets
from benchmarks.targets import Outcome, compare_targets

WIDTH: Final = 100  # the same on a narrow terminal and in a file


def print_report(summary: Summary, file: TextIO | None = None) -> None:
    """Print all tables to `file`, by default stdout."""
    console = Console(file=file, width=WIDTH, markup=False, highlight=False)
    for table in build_tables(summary):
        console.print(build_rich_table(table))


def render_markdown(summary: Summary) -> str:
    """Render the tables of rates and targets, for the docs."""
    titles = summary.suite.titles
    table = build_rates(summary)
    rows = [(name, titles.get(name, ""), *cells) for name, *cells in table.rows]
    described = TextTable(
        table.title, (table.columns[0], "what", *table.columns[1:]), rows, labels=2
    )
    return f"{render_table(described)}\n{render_table(build_targets(summary))}"


def write_results(
    folder: Path,
    summary: Summary,
    measurements: Sequence[Measurement],
    environment: Mapping[str, str],
) -> None:
    """Write `results.json` and `results.png` into a folder, created if missing."""
    results = {
        "environment": dict(environment),
        "targets": [_build_outcome_record(each) for each in compare_targets(summary)],
        "medians": _collect_medians(summary),
        "rounds": [asdict(each) for each in measurements],
    }
    text = json.dumps(results, ensure_ascii=False, indent=2)
    write_atomically(folder / "results.json", [text, "\n"])
    draw_chart(summary, environment, folder / "results.png")


def build_rich_table(table: TextTable) -> Table:
    """Return a table for the terminal."""
    rendered = Table(
        title=table.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for number, column in enumerate(table.columns):
        rendered.add_column(column, justify="left" if number < table.labels else "right")
    for row in table.rows:
        rendered.add_row(*row)
    return rendered


def render_table(table: TextTable) -> str:
    """Render a table as Markdown."""
    rules = ["---" if number < table.labels else "--:" for number in range(len(table.columns))]
    lines = [f"| {' | '.join(row)} |" for row in (table.columns, rules, *table.rows)]
    return "\n".join(lines) + "\n"


def _build_outcome_record(outcome: Outcome) -> dict[str, Any]:
    target, ratio = outcome.target, outcome.ratio
    return {
        "workload": target.workload,
        "figure": target.figure,
        "against": target.against,
        "at_least" if target.is_lower_bound else "at_most": target.bound,
        "ratio": ratio.value if ratio else None,
        "lowest": ratio.low if ratio else None,
        "highest": ratio.high if ratio else None,
        "reached": outcome.is_reached,
    }


def _collect_medians(summary: Summary) -> dict[str, dict[str, dict[str, float]]]:
    """Return the medians by workload, system and figure."""
    nested: dict[str, dict[str, dict[str, float]]] = {name: {} for name in summary.workloads}
    for (system, workload, figure), spread in summary.spreads.items():
        nested[workload].setdefault(system, {})[figure] = spread.median
    return nested
