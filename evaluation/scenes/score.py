"""Exact match by kind of question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.scenes.questions import SceneQuestion
from evaluation.tally import Tally


@dataclass(frozen=True, slots=True)
class SceneScore:
    """Tallies over all and by kind; `missing` questions had no answer and are not counted."""

    overall: Tally
    kinds: dict[str, Tally]
    missing: int

    def to_json(self) -> dict[str, Any]:
        kinds = {kind: tally.to_json() for kind, tally in self.kinds.items()}
        return {**self.overall.to_json(), "kinds": kinds, "missing": self.missing}

    def format_rows(self) -> list[tuple[str, str, str, str]]:
        tallies = [*self.kinds.items(), ("all", self.overall)]
        return [(kind, *tally.format_cells()) for kind, tally in tallies]


def score(questions: Sequence[SceneQuestion], texts: Mapping[str, str]) -> SceneScore:
    """Compare answers, by question id, with the right ones."""
    verdicts = [
        (asked.question.kind, asked.right(texts[asked.question_id]))
        for asked in questions
        if asked.question_id in texts
    ]
    kinds = sorted({kind for kind, _ in verdicts})
    return SceneScore(
        overall=Tally.from_verdicts(right for _, right in verdicts),
        kinds={
            kind: Tally.from_verdicts(right for of, right in verdicts if of == kind)
            for kind in kinds
        },
        missing=len(questions) - len(verdicts),
    )
