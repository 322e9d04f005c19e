"""The relative score: 100 x mean(candidate) / mean(reference), per kind and over all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from evaluation.relative_score.inputs import KINDS, Case
from evaluation.relative_score.review import Grades, first_line, read_grades
from evaluation.tally import percent


@dataclass(frozen=True, slots=True)
class Relative:
    """Grades of some questions."""

    grades: tuple[Grades, ...]

    @property
    def reference(self) -> float | None:
        return fmean(each.reference for each in self.grades) if self.grades else None

    @property
    def candidate(self) -> float | None:
        return fmean(each.candidate for each in self.grades) if self.grades else None

    @property
    def score(self) -> float | None:
        """In percent of the reference (arXiv 2304.08485, section 5.1); None without grades."""
        if self.reference is None or self.candidate is None:
            return None
        return 100 * self.candidate / self.reference

    def as_json(self) -> dict[str, float | int | None]:
        return {
            "score": self.score,
            "reference": self.reference,
            "candidate": self.candidate,
            "count": len(self.grades),
        }

    def cells(self) -> tuple[str, str, str, str]:
        means = percent(self.reference), percent(self.candidate)
        return percent(self.score), *means, str(len(self.grades))


@dataclass(frozen=True, slots=True)
class RelativeScore:
    """`set_aside` holds the first lines that could not be read, by question id."""

    overall: Relative
    kinds: dict[str, Relative]
    set_aside: dict[str, str]
    missing: tuple[str, ...]
    reviews: dict[str, Grades | None]

    def as_json(self) -> dict[str, Any]:
        return {
            **self.overall.as_json(),
            "kinds": {kind: relative.as_json() for kind, relative in self.kinds.items()},
            "set_aside": self.set_aside,
            "missing": list(self.missing),
            "grades": {
                question_id: [grades.reference, grades.candidate] if grades else None
                for question_id, grades in self.reviews.items()
            },
        }

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        everything = [*self.kinds.items(), ("all", self.overall)]
        return [(kind, *relative.cells()) for kind, relative in everything]


def score(cases: Sequence[Case], reviews: Mapping[str, str]) -> RelativeScore:
    """Score reviews, by question id; what cannot be read is set aside, never scored."""
    grades = {
        case.question_id: read_grades(reviews[case.question_id])
        for case in cases
        if case.question_id in reviews
    }
    graded = [
        (case.question.category, found)
        for case in cases
        if (found := grades.get(case.question_id)) is not None
    ]
    return RelativeScore(
        overall=Relative(tuple(each for _, each in graded)),
        kinds={kind: Relative(tuple(each for of, each in graded if of == kind)) for kind in KINDS},
        set_aside={key: first_line(reviews[key]) for key, found in grades.items() if found is None},
        missing=tuple(case.question_id for case in cases if case.question_id not in reviews),
        reviews=grades,
    )
