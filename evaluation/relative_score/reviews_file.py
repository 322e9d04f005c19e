"""An existing file of reviews, scored without a judge."""

from collections import Counter
from pathlib import Path
from typing import Self

from pydantic import AliasChoices, Field, model_validator

from asking.errors import InputError
from asking.files import FileModel, TextId, read_json_lines
from evaluation.relative_score.review import GradePair, parse_grades, read_first_line
from evaluation.relative_score.score import GradeSummary, RelativeScore

_ALL = "all"


class ReviewRecord(FileModel):
    """A released review, which has its grades, or one of this command, which has its text."""

    question_id: TextId = ""
    category: str = _ALL
    grades: tuple[float, float] | None = Field(
        default=None, validation_alias=AliasChoices("tuple", "score")
    )
    text: str | None = Field(default=None, validation_alias=AliasChoices("content", "text"))

    @model_validator(mode="after")
    def _require_grades(self) -> Self:
        if self.grades is None and self.text is None:
            raise ValueError("neither tuple nor score nor text")
        return self

    @property
    def pair(self) -> GradePair | None:
        """The grades, or None where the judge gave none: released files have -1 for these."""
        if self.grades is None:
            return parse_grades(self.text or "")
        return GradePair(*self.grades) if min(self.grades) >= 0 else None


def score_reviews_file(path: Path) -> RelativeScore:
    """Score a file of reviews by category and over all. Raises `InputError`."""
    records = read_json_lines(path, ReviewRecord)
    if not records:
        raise InputError(path, "no reviews")
    named = dict(zip(_name_reviews(records), records, strict=True))
    graded = [(record.category, pair) for record in records if (pair := record.pair) is not None]
    categories = sorted({record.category for record in records} - {_ALL})
    return RelativeScore(
        overall=GradeSummary(tuple(pair for _, pair in graded)),
        kinds={
            category: GradeSummary(tuple(pair for other, pair in graded if other == category))
            for category in categories
        },
        set_aside={
            name: read_first_line(record.text or str(record.grades))
            for name, record in named.items()
            if record.pair is None
        },
        missing=(),
        reviews={name: record.pair for name, record in named.items()},
    )


def _name_reviews(records: list[ReviewRecord]) -> list[str]:
    """Return the question ids, or the numbers of the lines where these are not unique."""
    counts = Counter(record.question_id for record in records)
    return [
        record.question_id if counts[record.question_id] == 1 else f"review {number}"
        for number, record in enumerate(records, start=1)
    ]
