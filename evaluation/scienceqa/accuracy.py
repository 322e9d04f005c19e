"""Accuracy over all and by subject, modality and grade, as ScienceQA's own table has it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from evaluation.scienceqa.parsing import UNREAD, read_choice
from evaluation.scienceqa.problems import Problem, ProblemSet
from evaluation.tally import Tally

_LOWER: Final = {f"grade{number}" for number in range(1, 7)}
_HIGHER: Final = {f"grade{number}" for number in range(7, 13)}

# A problem with both a hint and an image counts under text context and under image.
BREAK_DOWNS: Final[dict[str, dict[str, Callable[[Problem], bool]]]] = {
    "subject": {
        "natural science": lambda problem: problem.subject == "natural science",
        "social science": lambda problem: problem.subject == "social science",
        "language science": lambda problem: problem.subject == "language science",
    },
    "modality": {
        "text context": lambda problem: bool(problem.hint),
        "image": lambda problem: bool(problem.image),
        "no context": lambda problem: not problem.hint and not problem.image,
    },
    "grade": {
        "1-6": lambda problem: problem.grade in _LOWER,
        "7-12": lambda problem: problem.grade in _HIGHER,
    },
}


@dataclass(frozen=True, slots=True)
class Accuracy:
    """`overall` and the break-downs count every problem of the split.

    `parsed` holds a choice's index for each of them, -1 where no answer could be read or none was
    given; `predicted` counts only those that have a prediction.
    """

    split: str
    overall: Tally
    predicted: Tally
    by: dict[str, dict[str, Tally]]
    parsed: dict[str, int]
    missing: tuple[str, ...]
    strangers: int

    @property
    def unread(self) -> int:
        """Predictions in which no answer could be read."""
        return sum(choice == UNREAD for choice in self.parsed.values()) - len(self.missing)

    def as_json(self) -> dict[str, Any]:
        return {
            "split": self.split,
            **self.overall.as_json(),
            **{
                name: {group: tally.as_json() for group, tally in groups.items()}
                for name, groups in self.by.items()
            },
            "predicted": self.predicted.as_json(),
            "missing": list(self.missing),
            "unread": self.unread,
            "not_in_split": self.strangers,
            "parsed": self.parsed,
        }

    def rows(self) -> list[tuple[str, str, str, str]]:
        groups = [
            (f"{name}: {group}", *tally.cells())
            for name, tallies in self.by.items()
            for group, tally in tallies.items()
        ]
        return [*groups, ("all", *self.overall.cells())]


def measure(problem_set: ProblemSet, predictions: Mapping[str, str]) -> Accuracy:
    """Score predictions by problem id.

    As in the released evaluation a problem without a prediction counts as wrong, and predictions
    for problems of other splits are left out.
    """
    problems = problem_set.problems
    parsed = {
        each: read_choice(predictions.get(each, ""), len(problem.choices))
        for each, problem in problems.items()
    }
    right = {each: parsed[each] == problem.answer for each, problem in problems.items()}
    return Accuracy(
        split=problem_set.split,
        overall=Tally.of(right.values()),
        predicted=Tally.of(right[each] for each in problems if each in predictions),
        by={
            name: {
                group: Tally.of(right[each] for each, problem in problems.items() if holds(problem))
                for group, holds in groups.items()
            }
            for name, groups in BREAK_DOWNS.items()
        },
        parsed=parsed,
        missing=tuple(each for each in problems if each not in predictions),
        strangers=sum(each not in problems for each in predictions),
    )
