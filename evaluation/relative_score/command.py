"""`relative-score`: the paper's first evaluation (arXiv 2304.08485, section 5.1)."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from asking import options
from asking.endpoint import EndpointConfig
from asking.report import print_json, print_table, print_warning, write_results
from evaluation import roles
from evaluation.relative_score.inputs import read_cases
from evaluation.relative_score.protocol import RelativeScoreProtocol
from evaluation.relative_score.score import RelativeScore, score_reviews

Questions = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="JSON Lines as in qa90_questions.jsonl")
]
Contexts = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="captions and boxes of the images")
]
AnswersFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="answers; an endpoint is asked if left out"),
]


def relative_score(
    questions: Questions,
    context: Contexts,
    out: Annotated[Path, typer.Option(help="folder for answers, reviews and results.json")],
    reference_answers: AnswersFile = None,
    candidate_answers: AnswersFile = None,
    images: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="folder of the images")
    ] = None,
    base_url: roles.BaseUrl = "",
    api_key: roles.ApiKey = "",
    model: roles.Model = "",
    max_tokens: roles.MaxTokens = 1024,
    temperature: roles.Temperature = 0.0,
    request: roles.Request = "",
    judge_base_url: roles.JudgeBaseUrl = "",
    judge_api_key: roles.JudgeApiKey = "",
    judge_model: roles.JudgeModel = "",
    judge_request: roles.JudgeRequest = "",
    reference_base_url: roles.ReferenceBaseUrl = "",
    reference_api_key: roles.ReferenceApiKey = "",
    reference_model: roles.ReferenceModel = "",
    reference_request: roles.ReferenceRequest = "",
    concurrency: options.Concurrency = 8,
    timeout_s: options.TimeoutS = 120.0,
    attempts: options.Attempts = 6,
    backoff_s: options.BackoffS = 0.5,
    allow_failures: options.AllowFailures = False,
    as_json: options.Json = False,
) -> None:
    """The paper's relative score: a judge grades the candidate's answers next to a reference's.

    Run again with the same options to go on where a run was stopped.
    """
    request_options = options.RequestOptions(concurrency, timeout_s, attempts, backoff_s)
    fields = {"max_tokens": 1024, "temperature": 0.0}
    candidate_fields = {"max_tokens": max_tokens, "temperature": temperature}
    judge = request_options.build_endpoint_config(
        "judge-", judge_base_url, judge_api_key, judge_model, judge_request, fields
    )
    reference = reference_answers or request_options.build_endpoint_config(
        "reference-",
        reference_base_url,
        reference_api_key,
        reference_model,
        reference_request,
        fields,
    )
    candidate = candidate_answers or request_options.build_endpoint_config(
        "", base_url, api_key, model, request, candidate_fields
    )
    if images is None and candidate_answers is None:
        raise typer.BadParameter("is needed to ask the candidate", param_hint="--images")
    protocol = RelativeScoreProtocol(read_cases(questions, context), out, allow_failures)
    result = asyncio.run(_measure(protocol, reference, candidate, images, judge))
    _report(result, out, as_json)


async def _measure(
    protocol: RelativeScoreProtocol,
    reference: Path | EndpointConfig,
    candidate: Path | EndpointConfig,
    images: Path | None,
    judge: EndpointConfig,
) -> RelativeScore:
    references = await protocol.collect_references(reference)
    candidates = await protocol.collect_candidates(candidate, images)
    return score_reviews(
        protocol.cases, await protocol.collect_reviews(judge, references, candidates)
    )


def _report(result: RelativeScore, out: Path, as_json: bool) -> None:
    results = result.to_json()
    write_results(out / "results.json", results)
    if as_json:
        print_json(results)
    else:
        columns = ("kind", "relative score %", "reference", "candidate", "reviews")
        print_table("Relative score", columns, result.format_rows())
    if result.set_aside:
        print_warning(
            f"{len(result.set_aside)} reviews have no two grades from 1 to 10 on their first line; "
            "they are set aside and not scored"
        )
    if result.missing:
        print_warning(f"{len(result.missing)} questions have no review and are not scored")
