"""SEED-Bench: accuracy by type of question, and its submission file (arXiv 2307.16125)."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from asking import options
from asking.errors import InputError
from asking.files import FileModel, RecordId, describe_validation_error, read_json, write_atomically
from evaluation.released_files import read_answer_texts
from evaluation.scorers.options import AnnotationsPath, AnswersPath, OptionalSubmissionPath
from evaluation.scorers.report import print_results, warn_of_missing
from evaluation.tally import Tally


class SeedQuestion(FileModel):
    """A question of `SEED-Bench.json`; `answer` is a letter."""

    question_id: RecordId
    question_type_id: int
    answer: str
    data_type: str = ""


class SeedBench(FileModel):
    """`SEED-Bench.json`: the questions, and the ids of their types by name."""

    questions: list[SeedQuestion] = Field(min_length=1)
    question_type: dict[str, int]


def seed(
    annotations: AnnotationsPath,
    answers: AnswersPath,
    out: OptionalSubmissionPath = None,
    as_json: options.Json = False,
) -> None:
    """SEED-Bench: accuracy by type of question, over images and over videos."""
    bench = read_annotations(annotations)
    texts = read_answer_texts(answers)
    types, totals = score_types(bench, texts), score_totals(bench, texts)
    missing = sum(str(question.question_id) not in texts for question in bench.questions)
    results: dict[str, Any] = {
        **totals["all"].to_json(),
        "image": totals["image"].to_json(),
        "video": totals["video"].to_json(),
        "types": {name: tally.to_json() for name, tally in types.items()},
        "missing": missing,
    }
    rows = [(name, *tally.format_cells()) for name, tally in {**types, **totals}.items()]
    columns = ("SEED-Bench", "accuracy %", "correct", "questions")
    print_results(results, "SEED-Bench", columns, rows, as_json)
    warn_of_missing(missing, "counted as wrong")
    if out is not None:
        write_submission(out, bench, texts)


def read_annotations(path: Path) -> SeedBench:
    """Read `SEED-Bench.json`. Raises `InputError`."""
    try:
        return SeedBench.model_validate(read_json(path))
    except ValidationError as error:
        raise InputError(path, describe_validation_error(error)) from None


def score_types(bench: SeedBench, texts: Mapping[str, str]) -> dict[str, Tally]:
    """Count right letters by type of question; as released, only the letter alone is right."""
    by_type: dict[int, list[bool]] = defaultdict(list)
    for question in bench.questions:
        by_type[question.question_type_id].append(is_correct(question, texts))
    names = {type_id: name for name, type_id in bench.question_type.items()}
    return {
        names.get(type_id, str(type_id)): Tally.from_verdicts(verdicts)
        for type_id, verdicts in sorted(by_type.items())
    }


def score_totals(bench: SeedBench, texts: Mapping[str, str]) -> dict[str, Tally]:
    """Count right letters over images, videos and all."""

    def count(data_types: set[str]) -> Tally:
        return Tally.from_verdicts(
            is_correct(question, texts)
            for question in bench.questions
            if question.data_type in data_types
        )

    every = {question.data_type for question in bench.questions}
    return {"image": count({"image"}), "video": count({"video"}), "all": count(every)}


def write_submission(path: Path, bench: SeedBench, texts: Mapping[str, str]) -> None:
    """Write a line for each question that has an answer."""
    records = (
        {"question_id": question.question_id, "prediction": texts[str(question.question_id)]}
        for question in bench.questions
        if str(question.question_id) in texts
    )
    write_atomically(path, (json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def is_correct(question: SeedQuestion, texts: Mapping[str, str]) -> bool:
    """Whether the answer is the right letter and nothing else."""
    return texts.get(str(question.question_id)) == question.answer
