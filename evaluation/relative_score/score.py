"""The relative score: 100 x mean(candidate) / mean(reference), per kind and over all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from evaluation.relative_score.inputs import KINDS, Case
from evaluation.relative_score.review import GradePair, parse_grades, read_first_line
from evaluation.tally import format_percent


@dataclass(frozen=True, slots=True)
class GradeSummary:
    """The grades of a group of questions, and their means."""

    grades: tuple[GradePair, ...]

    @property
    def reference(self) -> float | None:
        return fmean(each.reference for each in self.grades) if self.grades else None

    @property
    def candidate(self) -> float | None:
        return fmean(each.candidate for each in self.grades) if self.grades else None

    @property
    def score(self) -> float | None:
        """In percent of the reference (arXiv 2304.08485, section 5.1).

        None without grades, or if all of the reference's are 0.
        """
        if self.candidate is None or not self.reference:
            return None
        return 100 * self.candidate / self.reference

    def to_json(self) -> dict[str, float | int | None]:
        return {
            "score": self.score,
            "reference": self.reference,
            "candidate": self.candidate,
            "count": len(self.grades),
        }

    def format_cells(self) -> tuple[str, str, str, str]:
        means = format_percent(self.reference), format_percent(self.candidate)
        return format_percent(self.score), *means, str(len(self.grades))


@dataclass(frozen=True, slots=True)
class RelativeScore:
    """The result; `set_aside` maps question ids to first lines that are no grades."""

    overall: GradeSummary
    kinds: dict[str, GradeSummary]
    set_aside: dict[str, str]
    missing: tuple[str, ...]
    reviews: dict[str, GradePair | None]

    @property
    def score_with_failures(self) -> float | None:
        """The score of the released summary, which counts a review without grades as (-1, -1)."""
        failures = GradePair(-1, -1)
        return GradeSummary(tuple(pair or failures for pair in self.reviews.values())).score

    def to_json(self) -> dict[str, Any]:
        return {
            **self.overall.to_json(),
            "score_with_failures": self.score_with_failures,
            "kinds": {kind: relative.to_json() for kind, relative in self.kinds.items()},
            "set_aside": self.set_aside,
            "missing": list(self.missing),
            "grades": {
                question_id: [grades.reference, grades.candidate] if grades else None
                for question_id, grades in self.reviews.items()
            },
        }

    def format_rows(self) -> list[tuple[str, str, str, str, str]]:
        everything = [*self.kinds.items(), ("all", self.overall)]
        return [(kind, *relative.format_cells()) for kind, relative in everything]


def score_reviews(cases: Sequence[Case], reviews: Mapping[str, str]) -> RelativeScore:
    """Score reviews by question id; reviews without grades are set aside, not scored."""
    grades = {
        case.question_id: parse_grades(reviews[case.question_id])
        for case in cases
        if case.question_id in reviews
    }
    graded = [
        (case.question.category, found)
        for case in cases
        if (found := grades.get(case.question_id)) is not None
    ]
    return RelativeScore(
        overall=GradeSummary(tuple(each for _, each in graded)),
        kinds={
            kind: GradeSummary(tuple(each for of, each in graded if of == kind)) for kind in KINDS
        },
        set_aside={
            key: read_first_line(reviews[key]) for key, found in grades.items() if found is None
        },
        missing=tuple(case.question_id for case in cases if case.question_id not in reviews),
        reviews=grades,
    )
