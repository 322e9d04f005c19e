"""What a judge's review says: two grades on its first line."""

import re
from dataclasses import dataclass
from typing import Final

_NUMBER: Final = r"([0-9]{1,2}(?:\.[0-9]+)?)"
_GRADES: Final = re.compile(rf"\s*{_NUMBER}(?:\s*,\s*|\s+){_NUMBER}\s*")
LOWEST, HIGHEST = 1.0, 10.0


@dataclass(frozen=True, slots=True)
class Grades:
    """Both answers' grades, 1 to 10."""

    reference: float
    candidate: float


def read_grades(review: str) -> Grades | None:
    """The grades of a review, or None where its first line is not exactly two numbers in range.

    As in LLaVA's released evaluation a comma may stand between the numbers.
    """
    found = _GRADES.fullmatch(first_line(review))
    if found is None:
        return None
    grades = Grades(float(found[1]), float(found[2]))
    in_range = all(LOWEST <= value <= HIGHEST for value in (grades.reference, grades.candidate))
    return grades if in_range else None


def first_line(review: str) -> str:
    return review.split("\n", 1)[0]
