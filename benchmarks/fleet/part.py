"""A part of the report: the results of one scenario."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet.figures import Figures
from benchmarks.formatting import format_number
from benchmarks.tables import TextTable

Record = dict[str, str | float]


@dataclass(frozen=True, slots=True)
class Table:
    """Records with the same keys, which are the columns; text comes first."""

    title: str
    records: Sequence[Record]

    def to_text(self) -> TextTable:
        """Return the table as text."""
        first = self.records[0]
        labels = sum(isinstance(value, str) for value in first.values())
        rows = [tuple(map(_format, record.values())) for record in self.records]
        return TextTable(self.title, tuple(first), rows, labels)


@dataclass(frozen=True, slots=True)
class Part:
    """A scenario's tables, and the function that draws its chart, which is named after it."""

    name: str
    tables: Sequence[Table]
    draw: Callable[[Path], None] | None = None


def build_record(figures: Figures, replicas: int) -> Record:
    """Return the columns that most tables have; rates are per replica."""
    return {
        "offered/s": figures.offered / replicas,
        "completed/s": figures.completed / replicas,
        "429/s": figures.refused / replicas,
        "TTFT p50, ms": figures.ttft_ms_p50,
        "TTFT p95, ms": figures.ttft_ms_p95,
        "image hits, %": figures.image_hits * 100,
        "prefix hits, %": figures.prefix_hits * 100,
    }


def _format(value: str | float) -> str:
    return value if isinstance(value, str) else format_number(value)
