"""`scenes`: exact match on newly drawn scenes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from asking import options
from asking.report import print_json, print_table, print_warning, write_results
from asking.run import collect_answers
from evaluation import roles
from evaluation.scenes.questions import ALL_KINDS, draw_questions
from evaluation.scenes.score import score_answers


def scenes(
    out: Annotated[Path, typer.Option(help="folder for answers.jsonl and results.json")],
    base_url: roles.BaseUrl = "",
    api_key: roles.ApiKey = "",
    model: roles.Model = "",
    count: Annotated[int, typer.Option(min=1, help="questions, each about its own scene")] = 500,
    seed: Annotated[int, typer.Option(help="what the scenes and questions depend on")] = 1_000_003,
    longest: Annotated[int, typer.Option(min=64, help="pixels of a scene's longer side")] = 512,
    kind: Annotated[
        list[str] | None, typer.Option(help=f"repeatable; all if left out: {', '.join(ALL_KINDS)}")
    ] = None,
    max_tokens: roles.MaxTokens = 128,
    temperature: roles.Temperature = 0.0,
    request: roles.Request = "",
    concurrency: options.Concurrency = 8,
    timeout_s: options.TimeoutS = 120.0,
    attempts: options.Attempts = 6,
    backoff_s: options.BackoffS = 0.5,
    allow_failures: options.AllowFailures = False,
    as_json: options.Json = False,
) -> None:
    """Exact match by kind of question on newly drawn scenes.

    Run again with the same options to resume an interrupted run.
    """
    request_options = options.RequestOptions(concurrency, timeout_s, attempts, backoff_s)
    fields = {"max_tokens": max_tokens, "temperature": temperature}
    config = request_options.build_endpoint_config("", base_url, api_key, model, request, fields)
    questions = draw_questions(seed, count, longest, _validate_kinds(kind))
    asks = [question.build_chat_question() for question in questions]
    answers = asyncio.run(
        collect_answers(config, asks, out / "answers.jsonl", "scenes", allow_failures)
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
        print_warning(f"{result.missing} questions have no answer and are not counted")


def _validate_kinds(kinds: list[str] | None) -> Sequence[str]:
    unknown = [kind for kind in kinds or () if kind not in ALL_KINDS]
    if unknown:
        raise typer.BadParameter(
            f"{unknown[0]!r} is none of {', '.join(ALL_KINDS)}", param_hint="--kind"
        )
    return kinds or ALL_KINDS
