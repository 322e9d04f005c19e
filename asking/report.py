"""Results as tables, as JSON and as files."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from asking.files import write_atomically


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table; all columns except the first are right-aligned."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def print_json(results: Mapping[str, Any]) -> None:
    """Print exactly one JSON object."""
    print(json.dumps(results, ensure_ascii=False, indent=2))


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write the results atomically."""
    write_atomically(path, [json.dumps(results, ensure_ascii=False, indent=2), "\n"])


def print_warning(message: str) -> None:
    """Print a warning on stderr."""
    print(f"WARNING: {message}", file=sys.stderr)


def write_predictions(path: Path, texts: Mapping[str, str]) -> None:
    """Write a predictions file atomically: `{"question_id", "text"}` per line."""
    records = ({"question_id": key, "text": text} for key, text in texts.items())
    write_atomically(path, (json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def format_count(number: int, noun: str) -> str:
    """Return a number of things, such as `1 question` or `2 questions`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
