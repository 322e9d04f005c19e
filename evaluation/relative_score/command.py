"""`relative-score`: the paper's first evaluation (arXiv 2304.08485, section 5.1)."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from asking import options
from asking.endpoint import EndpointConfig
from asking.report import print_json, print_table, print_warning, write_results
from evaluation import roles
from evaluation.relative_score.inputs import Case, read_cases
from evaluation.relative_score.protocol import RelativeScoreProtocol
from evaluation.relative_score.reviews_file import score_reviews_file
from evaluation.relative_score.rules import RELEASED_TEMPERATURE, Rules, read_rules
from evaluation.relative_score.score import RelativeScore, score_reviews
from evaluation.tally import format_percent

Questions = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="JSON Lines as in qa90_questions.jsonl"),
]
Contexts = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="captions and boxes of the images")
]
AnswersFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="answers; an endpoint is asked if left out"),
]


def relative_score(
    questions: Questions = None,
    context: Contexts = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for answers, reviews and results.json")
    ] = None,
    reviews: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="score these reviews; nobody is asked"),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="judge as LLaVA's scripts do, with its rule.json"
        ),
    ] = None,
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

    With --reviews the reviews of an earlier judge are scored, and nobody is asked.
    Run again with the same options to go on where a run was stopped.
    """
    if reviews is not None:
        _report(score_reviews_file(reviews), out, as_json)
        return
    if questions is None or context is None or out is None:
        raise typer.BadParameter("are needed", param_hint="--questions, --context, --out")
    request_options = options.RequestOptions(concurrency, timeout_s, attempts, backoff_s)
    fields = {"max_tokens": 1024, "temperature": 0.0}
    candidate_fields = {"max_tokens": max_tokens, "temperature": temperature}
    judge_fields = {**fields, "temperature": RELEASED_TEMPERATURE} if rules else fields
    judge = request_options.build_endpoint_config(
        "judge-", judge_base_url, judge_api_key, judge_model, judge_request, judge_fields
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
    cases = read_cases(questions, context)
    judge_rules = _read_rules(rules, cases)
    protocol = RelativeScoreProtocol(cases, out, allow_failures, judge_rules)
    result = asyncio.run(_measure(protocol, reference, candidate, images, judge))
    _report(result, out, as_json)


def _read_rules(path: Path | None, cases: Sequence[Case]) -> Rules | None:
    if path is None:
        return None
    rules = read_rules(path)
    rules.require(cases)
    return rules


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


def _report(result: RelativeScore, out: Path | None, as_json: bool) -> None:
    results = result.to_json()
    if out is not None:
        write_results(out / "results.json", results)
    if as_json:
        print_json(results)
    else:
        columns = ("kind", "relative score %", "reference", "candidate", "reviews")
        print_table("Relative score", columns, result.format_rows())
    if result.set_aside:
        print_warning(
            f"{len(result.set_aside)} reviews have no two grades from 0 to 10 on their first line; "
            "they are set aside and not scored. LLaVA's own summary counts them as -1: "
            f"{format_percent(result.score_with_failures)}"
        )
    if result.missing:
        print_warning(f"{len(result.missing)} questions have no review and are not scored")
