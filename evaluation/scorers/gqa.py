"""GQA: exact match, and the file that GQA's own evaluation reads (arXiv 1902.09506)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from asking import options
from asking.errors import InputError
from asking.files import FileModel, describe_validation_error, read_json
from evaluation.released_files import read_answers
from evaluation.scorers.options import AnswersPath, OptionalSubmissionPath
from evaluation.scorers.report import (
    print_results,
    print_submission,
    warn_of_missing,
    write_json,
)
from evaluation.tally import Tally


class _Types(FileModel):
    structural: str = ""


class GqaQuestion(FileModel):
    """A question of `testdev_balanced_questions.json`."""

    answer: str
    types: _Types = _Types()

    @property
    def kind(self) -> str:
        """Open questions query something; the others have two answers."""
        return "open" if self.types.structural == "query" else "binary"


def gqa(
    answers: AnswersPath,
    questions: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="GQA's own questions; gives the accuracy"),
    ] = None,
    out: OptionalSubmissionPath = None,
    as_json: options.Json = False,
) -> None:
    """GQA: accuracy, or the predictions file for GQA's own evaluation."""
    if (questions is None) == (out is None):
        raise typer.BadParameter("give --questions or --out", param_hint="--questions")
    predictions = {
        answer.question_id: normalize_gqa(answer.text) for answer in read_answers(answers)
    }
    if questions is not None:
        texts = {str(key): text for key, text in predictions.items()}
        _report(read_gqa_questions(questions), texts, as_json)
    elif out is not None:
        records = [{"questionId": key, "prediction": text} for key, text in predictions.items()]
        write_json(out, records)
        print_submission(out, len(records), 0, as_json)


def normalize_gqa(text: str) -> str:
    """Return the text without full stops at its end, in lower case, as released."""
    return text.rstrip(".").lower()


def read_gqa_questions(path: Path) -> dict[str, GqaQuestion]:
    """Read GQA's questions by id. Raises `InputError`."""
    try:
        questions = TypeAdapter(dict[str, GqaQuestion]).validate_python(read_json(path))
    except ValidationError as error:
        raise InputError(path, describe_validation_error(error)) from None
    if not questions:
        raise InputError(path, "no questions")
    return questions


def score_gqa(
    questions: Mapping[str, GqaQuestion], predictions: Mapping[str, str]
) -> dict[str, Tally]:
    """Count exact matches over all and by kind; a question without prediction is wrong."""
    verdicts = [
        (question.kind, predictions.get(key) == question.answer)
        for key, question in questions.items()
    ]
    kinds = {
        kind: Tally.from_verdicts(verdict for other, verdict in verdicts if other == kind)
        for kind in ("binary", "open")
    }
    return {**kinds, "all": Tally.from_verdicts(verdict for _, verdict in verdicts)}


def _report(
    questions: Mapping[str, GqaQuestion], predictions: Mapping[str, str], as_json: bool
) -> None:
    tallies = score_gqa(questions, predictions)
    missing = len(questions.keys() - predictions.keys())
    results: dict[str, Any] = {
        **tallies["all"].to_json(),
        "kinds": {kind: tallies[kind].to_json() for kind in ("binary", "open")},
        "missing": missing,
    }
    rows = [(name, *tally.format_cells()) for name, tally in tallies.items()]
    columns = ("GQA", "accuracy %", "correct", "questions")
    print_results(results, "GQA", columns, rows, as_json)
    warn_of_missing(missing, "counted as wrong")
