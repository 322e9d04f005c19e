"""`vqa`: the questions of a file, answered into a file, both in LLaVA's released formats."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from asking.option_groups import expand_options
from asking.options import AskingOptions, Json
from asking.report import format_count, print_json, print_table, print_warning
from asking.run import Answers, collect_answers
from evaluation.instructions import LETTER_ONLY
from evaluation.roles import CandidateOptions
from evaluation.vqa.answers_file import AnswersFile
from evaluation.vqa.mmbench import load_mmbench_questions
from evaluation.vqa.questions import load_questions

Questions = Annotated[
    Path,
    typer.Option(
        exists=True,
        dir_okay=False,
        help='JSON Lines of {"question_id", "image", "text"}, text only without "image"; '
        "or a table of MMBench, .tsv",
    ),
]


@expand_options
def vqa(
    questions: Questions,
    out: Annotated[Path, typer.Option(dir_okay=False, help="where the answers go")],
    images: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="folder of the images")
    ] = None,
    instruction: Annotated[
        str, typer.Option(help="what follows the options of MMBench; may be empty")
    ] = LETTER_ONLY,
    candidate: CandidateOptions = CandidateOptions(),
    asking: AskingOptions = AskingOptions(concurrency=32),
    as_json: Json = False,
) -> None:
    """Answer the questions of a file, as the released model_vqa.py and model_vqa_loader.py do.

    Run again with the same options to go on where a run was stopped.
    """
    config = candidate.build_config(asking, candidate.sampling)
    if questions.suffix == ".tsv":
        asked = load_mmbench_questions(questions, instruction)
    else:
        asked = load_questions(questions, images)
    answers_file = AnswersFile(out, asked)
    chat_questions = [question.chat_question for question in asked]
    answers = asyncio.run(
        collect_answers(config, chat_questions, answers_file, "vqa", asking.allow_failures)
    )
    answers_file.sort()
    _report(answers, len(asked), out, as_json)


def _report(answers: Answers, count: int, out: Path, as_json: bool) -> None:
    answered = len(answers.by_question)
    results: dict[str, Any] = {
        "model": answers.model,
        "count": count,
        "answered": answered,
        "out": str(out),
    }
    if as_json:
        print_json(results)
    else:
        row = (str(out), str(count), str(answered))
        print_table(f"Answers of {answers.model}", ("file", "questions", "answered"), [row])
    if answered < count:
        print_warning(f"{format_count(count - answered, 'question')} without an answer")
