"""VizWiz: the file for the leaderboard (arXiv 1802.08218)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from asking import options
from asking.errors import InputError
from evaluation.released_files import ReleasedQuestion, read_answer_texts, read_unique_questions
from evaluation.scorers.normalization import normalize_prediction
from evaluation.scorers.options import AnswersPath, QuestionsPath, SubmissionPath
from evaluation.scorers.report import print_submission, write_json


def vizwiz(
    questions: QuestionsPath,
    answers: AnswersPath,
    out: SubmissionPath,
    as_json: options.Json = False,
) -> None:
    """VizWiz: the file for the leaderboard; every question needs an answer."""
    asked = read_unique_questions(questions)
    write_json(out, build_submission(asked, questions, read_answer_texts(answers), answers))
    print_submission(out, len(asked), 0, as_json)


def build_submission(
    questions: Sequence[ReleasedQuestion],
    questions_path: Path,
    texts: Mapping[str, str],
    answers_path: Path,
) -> list[dict[str, str]]:
    """Return each image with its normalised answer. Raises `InputError` if one is missing."""
    records = []
    for question in questions:
        if question.image is None:
            raise InputError(questions_path, f"question {question.question_id} has no image")
        if str(question.question_id) not in texts:
            raise InputError(answers_path, f"no answer to question {question.question_id}")
        answer = normalize_prediction(texts[str(question.question_id)])
        records.append({"image": question.image, "answer": answer})
    return records
