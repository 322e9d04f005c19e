"""POPE: does the model see objects that are not there? (arXiv 2305.10355)"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal

import typer

from asking import options
from asking.errors import InputError
from asking.files import FileModel, read_json_lines
from evaluation.released_files import (
    ReleasedQuestion,
    read_answer_texts,
    read_unique_questions,
)
from evaluation.scorers.options import AnswersPath, QuestionsPath
from evaluation.scorers.report import print_results, warn_of_missing
from evaluation.tally import format_percent

_PREFIX = "coco_pope_"


class _Label(FileModel):
    label: Literal["yes", "no"]


@dataclass(frozen=True, slots=True)
class YesNoScore:
    """Counts of true and false, positive ("yes") and negative answers."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[bool, bool]]) -> "YesNoScore":
        """Count pairs of (answer is yes, label is yes)."""
        counted = list(pairs)
        return cls(
            counted.count((True, True)),
            counted.count((True, False)),
            counted.count((False, False)),
            counted.count((False, True)),
        )

    @property
    def count(self) -> int:
        negative = self.true_negative + self.false_negative
        return self.true_positive + self.false_positive + negative

    def to_json(self) -> dict[str, float | int | None]:
        """Return the measures in percent; None where nothing is to be divided by."""
        positive = self.true_positive + self.false_positive
        mistakes = self.false_positive + self.false_negative
        return {
            "accuracy": _percent(self.true_positive + self.true_negative, self.count),
            "precision": _percent(self.true_positive, positive),
            "recall": _percent(self.true_positive, self.true_positive + self.false_negative),
            "f1": _percent(2 * self.true_positive, 2 * self.true_positive + mistakes),
            "yes_ratio": _percent(positive, self.count),
            "count": self.count,
        }


def pope(
    questions: QuestionsPath,
    answers: AnswersPath,
    annotations: Annotated[
        Path, typer.Option(exists=True, help="folder of the coco_pope_*.json files, or one of them")
    ],
    as_json: options.Json = False,
) -> None:
    """POPE: accuracy, precision, recall, F1 and the ratio of yes, by category."""
    asked = read_unique_questions(questions)
    texts = read_answer_texts(answers)
    missing = sum(str(question.question_id) not in texts for question in asked)
    scores = score_pope(asked, texts, read_labels(annotations))
    categories = {name: score.to_json() for name, score in scores.items()}
    measures = ("accuracy", "precision", "recall", "f1", "yes_ratio")
    results: dict[str, Any] = {
        **{name: _mean(score[name] for score in categories.values()) for name in measures},
        "categories": categories,
        "missing": missing,
    }
    rows = [
        (name, *(format_percent(score[measure]) for measure in measures), str(score["count"]))
        for name, score in categories.items()
    ]
    mean = ("mean", *(format_percent(results[measure]) for measure in measures), "")
    columns = ("category", "accuracy %", "precision", "recall", "F1", "yes", "questions")
    print_results(results, "POPE", columns, [*rows, mean], as_json)
    warn_of_missing(missing, "not counted")


def score_pope(
    questions: Sequence[ReleasedQuestion],
    texts: Mapping[str, str],
    labels: Mapping[str, tuple[Path, Sequence[bool]]],
) -> dict[str, YesNoScore]:
    """Score each category of `labels`.

    As in the released `eval_pope.py` the n-th question of a category has its n-th label. Raises
    `InputError` where their numbers differ.
    """
    scores = {}
    for category, (path, expected) in labels.items():
        asked = [question for question in questions if question.category in (category, None)]
        if len(asked) != len(expected):
            raise InputError(
                path,
                f"{len(expected)} labels, but {len(asked)} questions of category {category}",
            )
        scores[category] = YesNoScore.from_pairs(
            (is_yes(texts[str(question.question_id)]), label)
            for question, label in zip(asked, expected, strict=True)
            if str(question.question_id) in texts
        )
    return scores


def is_yes(text: str) -> bool:
    """Whether an answer counts as yes: its first sentence has no word `No`, `no` or `not`."""
    words = text.split(".")[0].replace(",", "").split(" ")
    return not {"No", "no", "not"}.intersection(words)


def read_labels(path: Path) -> dict[str, tuple[Path, list[bool]]]:
    """Read label files by category, which is in their name. Raises `InputError`."""
    files = sorted(path.glob(f"{_PREFIX}*.json")) if path.is_dir() else [path]
    if not files:
        raise InputError(path, f"no file {_PREFIX}*.json")
    return {
        file.stem.removeprefix(_PREFIX): (
            file,
            [label.label == "yes" for label in read_json_lines(file, _Label)],
        )
        for file in files
    }


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
