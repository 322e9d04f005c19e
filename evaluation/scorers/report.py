"""Output of the scorers: submission files, gaps, one JSON object or a table."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asking.files import write_atomically
from asking.report import format_count, print_json, print_table, print_warning


def write_json(path: Path, value: Any) -> None:
    """Write a submission file atomically."""
    write_atomically(path, [json.dumps(value, ensure_ascii=False), "\n"])


def print_results(
    results: Mapping[str, Any],
    title: str,
    columns: Iterable[str],
    rows: Iterable[Iterable[str]],
    as_json: bool,
) -> None:
    """Print results as JSON or as a table."""
    if as_json:
        print_json(results)
    else:
        print_table(title, columns, rows)


def print_submission(path: Path, count: int, missing: int, as_json: bool) -> None:
    """Say what a submission file contains."""
    results = {"out": str(path), "count": count, "missing": missing}
    row = (str(path), str(count), str(missing))
    columns = ("submission", "questions", "without answer")
    print_results(results, "Submission file", columns, [row], as_json)


def warn_of_missing(missing: int, effect: str) -> None:
    """Warn of questions without an answer, and say how they are treated."""
    if missing:
        print_warning(f"{format_count(missing, 'question')} without an answer: {effect}")
