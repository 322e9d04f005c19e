"""MM-Vet: the file that its grader reads (arXiv 2308.02490)."""

from asking import options
from evaluation.released_files import read_answer_texts
from evaluation.scorers.options import AnswersPath, SubmissionPath
from evaluation.scorers.report import print_submission, write_json


def mmvet(answers: AnswersPath, out: SubmissionPath, as_json: options.Json = False) -> None:
    """MM-Vet: the file for its grader, one text for each `v1_<id>`."""
    texts = read_answer_texts(answers)
    write_json(out, {f"v1_{question_id}": text for question_id, text in texts.items()})
    print_submission(out, len(texts), 0, as_json)
