"""Tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from asking.files import write_whole


def show_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table; all columns but the first hold numbers."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def show_json(results: Mapping[str, Any]) -> None:
    """Print exactly one JSON object."""
    print(json.dumps(results, ensure_ascii=False, indent=2))


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write the results, replacing older ones at once."""
    write_whole(path, [json.dumps(results, ensure_ascii=False, indent=2), "\n"])


def warn(message: str) -> None:
    """Say on stderr what must not be overlooked."""
    print(f"WARNING: {message}", file=sys.stderr)


def write_lines(path: Path, texts: Mapping[str, str]) -> None:
    """Write a predictions file: `{"question_id", "text"}` a line, replacing an older one."""
    records = ({"question_id": key, "text": text} for key, text in texts.items())
    write_whole(path, (json.dumps(record, ensure_ascii=False) + "\n" for record in records))
