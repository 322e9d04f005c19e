"""How many were right of how many."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Tally:
    """`correct` of `count`."""

    correct: int
    count: int

    @classmethod
    def of(cls, verdicts: Iterable[bool]) -> Self:
        counted = list(verdicts)
        return cls(sum(counted), len(counted))

    @property
    def accuracy(self) -> float | None:
        """In percent; None where nothing was counted."""
        return 100 * self.correct / self.count if self.count else None

    def as_json(self) -> dict[str, float | int | None]:
        return {"accuracy": self.accuracy, "correct": self.correct, "count": self.count}

    def cells(self) -> tuple[str, str, str]:
        """Accuracy, correct and count as a table shows them."""
        return percent(self.accuracy), str(self.correct), str(self.count)


def percent(value: float | None) -> str:
    """Two decimals, as the papers' tables have them."""
    return "-" if value is None else f"{value:.2f}"
