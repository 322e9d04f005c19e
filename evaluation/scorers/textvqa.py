"""TextVQA: soft accuracy of short answers about text in images (arXiv 1904.08920)."""

import re
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from pydantic import Field, ValidationError

from asking import options
from asking.errors import InputError
from asking.files import FileModel, TextId, describe_validation_error, read_json
from evaluation.released_files import ReleasedAnswer, read_answers
from evaluation.scorers.normalization import normalize_prediction
from evaluation.scorers.options import AnnotationsPath, AnswersPath
from evaluation.scorers.report import print_results, warn_of_missing
from evaluation.scorers.soft_accuracy import compute_soft_accuracy
from evaluation.tally import format_percent

_OCR_PROMPT: Final = re.compile(r"Question: (.*?) Short answer:", re.DOTALL)
_OCR_LINE: Final = "Reference OCR token:"


class TextVqaQuestion(FileModel):
    """A question of `TextVQA_0.5.1_val.json`."""

    image_id: TextId
    question: str
    answers: list[str] = Field(min_length=1)


class _File(FileModel):
    data: list[TextVqaQuestion]


def textvqa(
    annotations: AnnotationsPath, answers: AnswersPath, as_json: options.Json = False
) -> None:
    """TextVQA: soft accuracy with the official answer processing."""
    questions = read_annotations(annotations)
    given = read_answers(answers)
    if not given:
        raise InputError(answers, "no answers")
    accuracy = 100 * fmean(score_answers(questions, answers, given))
    answered = {(str(answer.question_id), extract_question(answer.prompt)) for answer in given}
    missing = len(questions.keys() - answered)
    results: dict[str, Any] = {"accuracy": accuracy, "count": len(given), "missing": missing}
    row = (format_percent(accuracy), str(len(given)))
    print_results(results, "TextVQA", ("accuracy %", "answers"), [row], as_json)
    warn_of_missing(missing, "not counted, as in the released evaluation")


def read_annotations(path: Path) -> dict[tuple[str, str], TextVqaQuestion]:
    """Read the questions by image and lower-case question. Raises `InputError`."""
    try:
        file = _File.model_validate(read_json(path))
    except ValidationError as error:
        raise InputError(path, describe_validation_error(error)) from None
    return {(question.image_id, question.question.lower()): question for question in file.data}


def score_answers(
    questions: dict[tuple[str, str], TextVqaQuestion], path: Path, answers: Iterable[ReleasedAnswer]
) -> list[float]:
    """Score each answer, 0 to 1. Raises `InputError` for an answer to none of the questions."""
    scores = []
    for answer in answers:
        key = str(answer.question_id), extract_question(answer.prompt)
        if key not in questions:
            raise InputError(path, f"no such question: image {key[0]}, {key[1]!r}")
        references = [normalize_prediction(each) for each in questions[key].answers]
        scores.append(compute_soft_accuracy(normalize_prediction(answer.text), references))
    return scores


def extract_question(prompt: str) -> str:
    """Return the question in a prompt of LLaVA's question files, in lower case.

    The question has a line of its own, with OCR tokens before or after it and the instruction at
    the end; or it stands between `Question:` and `Short answer:`.
    """
    if prompt.startswith("OCR tokens: ") and (found := _OCR_PROMPT.search(prompt)):
        return found[1].lower()
    lines = prompt.split("\n")
    has_tokens_first = lines[0].startswith(_OCR_LINE) and len(lines) > 1
    return lines[1 if has_tokens_first else 0].lower()
