"""Counts of correct answers, and their accuracy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Tally:
    """`correct` answers out of `count`."""

    correct: int
    count: int

    @classmethod
    def from_verdicts(cls, verdicts: Iterable[bool]) -> Self:
        correct = list(verdicts)
        return cls(sum(correct), len(correct))

    @property
    def accuracy(self) -> float | None:
        """Percentage of correct answers; None if there are none at all."""
        return 100 * self.correct / self.count if self.count else None

    def to_json(self) -> dict[str, float | int | None]:
        return {"accuracy": self.accuracy, "correct": self.correct, "count": self.count}

    def format_cells(self) -> tuple[str, str, str]:
        """Format accuracy, correct and count for a table."""
        return format_percent(self.accuracy), str(self.correct), str(self.count)


def format_percent(value: float | None) -> str:
    """Format with two decimals, as in the papers' tables."""
    return "-" if value is None else f"{value:.2f}"
