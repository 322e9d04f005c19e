"""The two grades on the first line of a judge's review."""

import re
from dataclasses import dataclass
from typing import Final

_NUMBER: Final = r"([0-9]{1,2}(?:\.[0-9]+)?)"
_GRADES: Final = re.compile(rf"\s*{_NUMBER}(?:\s*,\s*|\s+){_NUMBER}\s*")
MIN_GRADE, MAX_GRADE = 0.0, 10.0


@dataclass(frozen=True, slots=True)
class GradePair:
    """The grades of both answers; 1 to 10 are asked for, and a judge may give 0."""

    reference: float
    candidate: float


def parse_grades(review: str) -> GradePair | None:
    """Return the grades, or None unless the first line is exactly two numbers in range.

    As in LLaVA's released evaluation a comma may stand between the numbers.
    """
    found = _GRADES.fullmatch(read_first_line(review))
    if found is None:
        return None
    grades = GradePair(float(found[1]), float(found[2]))
    in_range = all(
        MIN_GRADE <= value <= MAX_GRADE for value in (grades.reference, grades.candidate)
    )
    return grades if in_range else None


def read_first_line(review: str) -> str:
    return review.split("\n", 1)[0]
