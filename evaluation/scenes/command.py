"""`scenes`: exact match on newly drawn scenes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from asking.option_groups import expand_options
from asking.options import AskingOptions, Json
from asking.report import format_count, print_json, print_table, print_warning, write_results
from asking.run import collect_answers
from evaluation.roles import CandidateOptions
from evaluation.scenes.questions import ALL_KINDS, draw_questions
from evaluation.scenes.score import score_answers


@expand_options
def scenes(
    out: Annotated[Path, typer.Option(help="folder for answers.jsonl and results.json")],
    candidate: CandidateOptions = CandidateOptions(max_tokens=128),
    count: Annotated[int, typer.Option(min=1, help="questions, each about its own scene")] = 500,
    seed: Annotated[int, typer.Option(help="decides the scenes and questions")] = 1_000_003,
    longest: Annotated[int, typer.Option(min=64, help="pixels of a scene's longer side")] = 512,
    kind: Annotated[
        list[str] | None,
        typer.Option(help=f"kind of question, repeatable; all if left out: {', '.join(ALL_KINDS)}"),
    ] = None,
    asking: AskingOptions = AskingOptions(),
    as_json: Json = False,
) -> None:
    """Exact match by kind of question on newly drawn scenes.

    Run again with the same options to resume an interrupted run.
    """
    config = candidate.build_config(asking, candidate.sampling)
    questions = draw_questions(seed, count, longest, _validate_kinds(kind))
    asks = [question.build_chat_question() for question in questions]
    answers = asyncio.run(
        collect_answers(config, asks, out / "answers.jsonl", "scenes", asking.allow_failures)
    )
    result = score_answers(questions, answers.texts)
    scenes_info = {"count": count, "seed": seed, "longest": longest}
    results = {"model": answers.model, "scenes": scenes_info, **result.to_json()}
    write_results(out / "results.json", results)
    if as_json:
        print_json(results)
    else:
        columns = ("kind", "exact match %", "right", "asked")
        print_table(
            f"{answers.model} on {count} scenes of seed {seed}", columns, result.format_rows()
        )
    if result.missing:
        print_warning(f"{format_count(result.missing, 'question')} without an answer: not counted")


def _validate_kinds(kinds: list[str] | None) -> Sequence[str]:
    unknown = [kind for kind in kinds or () if kind not in ALL_KINDS]
    if unknown:
        raise typer.BadParameter(
            f"{unknown[0]!r} is not one of {', '.join(ALL_KINDS)}", param_hint="--kind"
        )
    return kinds or ALL_KINDS
