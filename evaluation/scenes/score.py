"""Exact match by kind of question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.scenes.questions import SceneQuestion
from evaluation.tally import Tally


@dataclass(frozen=True, slots=True)
class SceneScore:
    """Tallies over all kinds and by kind; `missing` counts questions without an answer."""

    overall: Tally
    kinds: dict[str, Tally]
    missing: int

    def to_json(self) -> dict[str, Any]:
        kinds = {kind: tally.to_json() for kind, tally in self.kinds.items()}
        return {**self.overall.to_json(), "kinds": kinds, "missing": self.missing}

    def format_rows(self) -> list[tuple[str, str, str, str]]:
        tallies = [*self.kinds.items(), ("all", self.overall)]
        return [(kind, *tally.format_cells()) for kind, tally in tallies]


def score_answers(questions: Sequence[SceneQuestion], texts: Mapping[str, str]) -> SceneScore:
    """Compare `texts`, by question id, with the correct answers."""
    verdicts = [
        (question.question.kind, question.is_correct(texts[question.question_id]))
        for question in questions
        if question.question_id in texts
    ]
    kinds = sorted({kind for kind, _ in verdicts})
    return SceneScore(
        overall=Tally.from_verdicts(is_correct for _, is_correct in verdicts),
        kinds={
            kind: Tally.from_verdicts(is_correct for other, is_correct in verdicts if other == kind)
            for kind in kinds
        },
        missing=len(questions) - len(verdicts),
    )
