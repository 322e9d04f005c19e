"""VQAv2: soft accuracy where the answers are public, and the file for the leaderboard."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer
from pydantic import Field, ValidationError

from asking import options
from asking.errors import InputError
from asking.files import FileModel, RecordId, describe_validation_error, read_json
from evaluation.released_files import read_answer_texts, read_unique_questions
from evaluation.scorers.normalization import (
    normalize_prediction,
    normalize_vqa,
    strip_whitespace,
)
from evaluation.scorers.options import AnswersPath, OptionalSubmissionPath
from evaluation.scorers.report import (
    print_results,
    print_submission,
    warn_of_missing,
    write_json,
)
from evaluation.scorers.soft_accuracy import compute_soft_accuracy
from evaluation.tally import format_percent


class _Reference(FileModel):
    answer: str


class VqaAnnotation(FileModel):
    """A question's answers in `v2_mscoco_val2014_annotations.json`."""

    question_id: RecordId
    answers: list[_Reference] = Field(min_length=1)
    answer_type: str = "other"


class _File(FileModel):
    annotations: list[VqaAnnotation]


def vqav2(
    answers: AnswersPath,
    annotations: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="annotations; gives the accuracy"),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="all questions of the split; for --out"),
    ] = None,
    out: OptionalSubmissionPath = None,
    as_json: options.Json = False,
) -> None:
    """VQAv2: soft accuracy by the official evaluation, or the file for the leaderboard."""
    if (annotations is None) == (out is None) or (out is None) != (questions is None):
        raise typer.BadParameter(
            "give --annotations, or --questions and --out", param_hint="--annotations"
        )
    texts = read_answer_texts(answers)
    if annotations is not None:
        _report(read_annotations(annotations), texts, as_json)
    elif questions is not None and out is not None:
        ids = [question.question_id for question in read_unique_questions(questions)]
        write_json(out, build_submission(ids, texts))
        missing = sum(str(question_id) not in texts for question_id in ids)
        print_submission(out, len(ids), missing, as_json)
        warn_of_missing(missing, "left empty")


def build_submission(ids: Sequence[int | str], texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return every question with its normalised answer, empty if it has none, as released."""
    return [
        {"question_id": key, "answer": normalize_prediction(texts.get(str(key), ""))} for key in ids
    ]


def read_annotations(path: Path) -> list[VqaAnnotation]:
    """Read the annotations. Raises `InputError`."""
    try:
        annotations = _File.model_validate(read_json(path)).annotations
    except ValidationError as error:
        raise InputError(path, describe_validation_error(error)) from None
    if not annotations:
        raise InputError(path, "no annotations")
    return annotations


def score_answer(text: str, annotation: VqaAnnotation) -> float:
    """Return what the official evaluation gives for the submitted answer, 0 to 1.

    It strips the annotators' answers, and normalises only where they disagree then (`vqaEval.py`).
    """
    answer = normalize_prediction(text)
    references = [strip_whitespace(reference.answer) for reference in annotation.answers]
    if len(set(references)) > 1:
        answer = normalize_vqa(answer)
        references = [normalize_vqa(reference) for reference in references]
    return compute_soft_accuracy(answer, references)


def _report(annotations: Sequence[VqaAnnotation], texts: Mapping[str, str], as_json: bool) -> None:
    by_type = defaultdict(list)
    for annotation in annotations:
        text = texts.get(str(annotation.question_id), "")
        by_type[annotation.answer_type].append(100 * score_answer(text, annotation))
    accuracy = fmean(score for scores in by_type.values() for score in scores)
    missing = sum(str(annotation.question_id) not in texts for annotation in annotations)
    results: dict[str, Any] = {
        "accuracy": accuracy,
        "count": len(annotations),
        "answer_types": {
            name: {"accuracy": fmean(scores), "count": len(scores)}
            for name, scores in sorted(by_type.items())
        },
        "missing": missing,
    }
    rows = [
        (name, format_percent(group["accuracy"]), str(group["count"]))
        for name, group in results["answer_types"].items()
    ]
    everything = ("all", format_percent(accuracy), str(len(annotations)))
    columns = ("answer type", "accuracy %", "questions")
    print_results(results, "VQAv2", columns, [*rows, everything], as_json)
    warn_of_missing(missing, "counted as wrong")
