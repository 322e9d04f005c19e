"""Accuracy overall and by subject, modality and grade, as in ScienceQA's table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from evaluation.scienceqa.parsing import NO_CHOICE, parse_choice
from evaluation.scienceqa.problems import Problem, ProblemSet
from evaluation.tally import Tally

_LOWER: Final = {f"grade{number}" for number in range(1, 7)}
_HIGHER: Final = {f"grade{number}" for number in range(7, 13)}

# A problem with both a hint and an image counts under text context and under image.
GROUPS: Final[dict[str, dict[str, Callable[[Problem], bool]]]] = {
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
    """Accuracies of a split; `overall` and the groups count every problem.

    `parsed` maps each problem to the index of a choice, or to -1 without a readable prediction.
    `predicted` counts only problems with a prediction.
    """

    split: str
    overall: Tally
    predicted: Tally
    by: dict[str, dict[str, Tally]]
    parsed: dict[str, int]
    missing: tuple[str, ...]
    not_in_split: int

    @property
    def unparsed(self) -> int:
        """Number of predictions that name no choice."""
        return sum(choice == NO_CHOICE for choice in self.parsed.values()) - len(self.missing)

    def to_json(self) -> dict[str, Any]:
        return {
            "split": self.split,
            **self.overall.to_json(),
            **{
                name: {group: tally.to_json() for group, tally in groups.items()}
                for name, groups in self.by.items()
            },
            "predicted": self.predicted.to_json(),
            "missing": list(self.missing),
            "unread": self.unparsed,
            "not_in_split": self.not_in_split,
            "parsed": self.parsed,
        }

    def format_rows(self) -> list[tuple[str, str, str, str]]:
        groups = [
            (f"{name}: {group}", *tally.format_cells())
            for name, tallies in self.by.items()
            for group, tally in tallies.items()
        ]
        return [*groups, ("all", *self.overall.format_cells())]


def measure_accuracy(problem_set: ProblemSet, predictions: Mapping[str, str]) -> Accuracy:
    """Score predictions by problem id.

    As in the released evaluation, a problem without a prediction counts as wrong, and predictions
    for other splits are ignored.
    """
    problems = problem_set.problems
    parsed = {
        problem_id: parse_choice(predictions.get(problem_id, ""), len(problem.choices))
        for problem_id, problem in problems.items()
    }
    right = {
        problem_id: parsed[problem_id] == problem.answer for problem_id, problem in problems.items()
    }
    return Accuracy(
        split=problem_set.split,
        overall=Tally.from_verdicts(right.values()),
        predicted=Tally.from_verdicts(
            right[problem_id] for problem_id in problems if problem_id in predictions
        ),
        by={
            name: {
                group: Tally.from_verdicts(
                    right[problem_id] for problem_id, problem in problems.items() if holds(problem)
                )
                for group, holds in groups.items()
            }
            for name, groups in GROUPS.items()
        },
        parsed=parsed,
        missing=tuple(problem_id for problem_id in problems if problem_id not in predictions),
        not_in_split=sum(problem_id not in problems for problem_id in predictions),
    )
