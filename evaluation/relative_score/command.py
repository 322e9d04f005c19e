"""`relative-score`: the paper's first evaluation (arXiv 2304.08485, section 5.1)."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from asking.endpoint import EndpointConfig
from asking.option_groups import expand_options
from asking.options import AskingOptions, Json
from asking.report import format_count, print_json, print_table, print_warning, write_results
from evaluation.relative_score.inputs import Case, read_cases
from evaluation.relative_score.protocol import RelativeScoreProtocol
from evaluation.relative_score.reviews_file import score_reviews_file
from evaluation.relative_score.rules import RELEASED_TEMPERATURE, Rules, read_rules
from evaluation.relative_score.score import RelativeScore, score_reviews
from evaluation.roles import (
    WRITER_FIELDS,
    CandidateOptions,
    JudgeOptions,
    ReferenceOptions,
)
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


@expand_options
def relative_score(
    questions: Questions = None,
    context: Contexts = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for answers, reviews and results.json")
    ] = None,
    reviews: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="score these reviews; no endpoint is asked"),
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
    candidate: CandidateOptions = CandidateOptions(),
    judge: JudgeOptions = JudgeOptions(),
    reference: ReferenceOptions = ReferenceOptions(),
    asking: AskingOptions = AskingOptions(),
    as_json: Json = False,
) -> None:
    """The paper's relative score: a judge grades the candidate's answers next to a reference's.

    With --reviews the reviews of an earlier judge are scored, and nobody is asked.
    Run again with the same options to go on where a run was stopped.
    """
    if reviews is not None:
        _report(score_reviews_file(reviews), out, as_json)
        return
    if questions is None or context is None or out is None:
        raise typer.BadParameter("all three are needed", param_hint="--questions, --context, --out")
    judge_fields = {**WRITER_FIELDS, **({"temperature": RELEASED_TEMPERATURE} if rules else {})}
    judge_config = judge.build_config(asking, judge_fields)
    references = reference_answers or reference.build_config(asking, WRITER_FIELDS)
    candidates = candidate_answers or candidate.build_config(asking, candidate.sampling)
    if images is None and candidate_answers is None:
        raise typer.BadParameter("it is needed to ask the candidate", param_hint="--images")
    cases = read_cases(questions, context)
    judge_rules = _read_rules(rules, cases)
    protocol = RelativeScoreProtocol(cases, out, asking.allow_failures, judge_rules)
    result = asyncio.run(_measure(protocol, references, candidates, images, judge_config))
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
            f"{format_count(len(result.set_aside), 'review')} without two grades from 0 to 10 on"
            " the first line: set aside and not scored. LLaVA's own summary counts each as -1: "
            f"{format_percent(result.score_with_failures)}"
        )
    if result.missing:
        print_warning(
            f"{format_count(len(result.missing), 'question')} without a review: not scored"
        )
