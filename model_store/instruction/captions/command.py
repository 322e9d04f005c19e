"""`captions`: a text-only teacher turns captions and boxes into instruction data."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from asking.endpoint import EndpointConfig, open_endpoint
from asking.errors import IncompleteError
from asking.lock import lock_folder
from asking.option_groups import expand_options
from asking.options import AskingOptions, Json
from asking.report import format_count, print_json, print_table, print_warning
from model_store.instruction.captions import flags
from model_store.instruction.captions.context import Context, read_contexts
from model_store.instruction.captions.counts import Counts, count_results
from model_store.instruction.captions.folder import (
    JOURNAL_FILE,
    SET_ASIDE_FILE,
    delete_outputs,
    write_outputs,
)
from model_store.instruction.captions.plan import build_plan, write_or_check_plan
from model_store.instruction.captions.prompts.choice import choose_prompts
from model_store.instruction.captions.prompts.prompt import Prompt
from model_store.instruction.captions.record_request import list_record_requests
from model_store.instruction.captions.teaching import TeachingResult, teach
from model_store.instruction.records import KINDS, Kind


@dataclass(frozen=True, slots=True)
class _Run:
    source: Path
    out: Path
    prompts: Mapping[Kind, Prompt]
    seed: int
    tries: int
    restart: bool


@expand_options
def captions(
    source: flags.Input,
    out: flags.Out,
    kinds: flags.Kinds = "conversation,detail,complex",
    prompts: flags.Prompts = None,
    conversation_boxes: flags.ConversationBoxes = False,
    seed: flags.Seed = 0,
    restart: flags.Restart = False,
    teacher: flags.TeacherOptions = flags.TeacherOptions(max_tokens=2048, temperature=0.7),
    tries: flags.Tries = 1,
    asking: AskingOptions = AskingOptions(),
    as_json: Json = False,
) -> None:
    """Instruction data from captions and boxes, written by a teacher that never sees the image.

    Run again with the same options to go on where a run was stopped.
    """
    config = teacher.build_config(asking, teacher.sampling)
    chosen = choose_prompts(_parse_kinds(kinds), prompts, conversation_boxes=conversation_boxes)
    run = _Run(source, out, chosen, seed, tries, restart)
    contexts = read_contexts(source)
    with lock_folder(out):
        result = asyncio.run(_teach(run, contexts, config))
        counts = count_results(result)
        write_outputs(out, tuple(run.prompts), result, counts)
    _report(run, counts, as_json)
    if not asking.allow_failures:
        _check_complete(run, result)


async def _teach(run: _Run, contexts: Sequence[Context], config: EndpointConfig) -> TeachingResult:
    async with open_endpoint(config) as teacher:
        if run.restart:
            delete_outputs(run.out)
        plan = build_plan(run.source, teacher.model, run.prompts, run.seed, teacher.fields)
        write_or_check_plan(run.out, plan)
        requests = list_record_requests(contexts, run.prompts)
        return await teach(teacher, requests, run.out / JOURNAL_FILE, run.seed, run.tries)


def _parse_kinds(text: str) -> tuple[Kind, ...]:
    """Return the listed kinds in the order of `KINDS`."""
    named = [name.strip() for name in text.split(",") if name.strip()]
    _check_kinds(named)
    return tuple(kind for kind in KINDS if kind in named)


def _check_kinds(named: Sequence[str]) -> None:
    unknown = [name for name in named if name not in KINDS]
    if unknown or not named:
        wrong = repr(unknown[0]) if unknown else "nothing"
        raise typer.BadParameter(f"{wrong} is not one of {', '.join(KINDS)}", param_hint="--kinds")


def _report(run: _Run, counts: Counts, as_json: bool) -> None:
    if as_json:
        print_json(counts.as_json())
    else:
        columns = ("kind", "wanted", "records", "set aside", "no answer")
        print_table(f"Instruction data in {run.out}", columns, counts.rows())
        if counts.reasons:
            reasons = ((reason, str(number)) for reason, number in counts.reasons.items())
            print_table("Malformed answers", ("reason", "answers"), reasons)
    if counts.overall.rejected:
        path = run.out / SET_ASIDE_FILE
        print_warning(
            f"{format_count(counts.overall.rejected, 'malformed answer')} set aside in {path}"
        )


def _check_complete(run: _Run, result: TeachingResult) -> None:
    if result.failures:
        request, reason = next(iter(result.failures.values()))
        wanted = format_count(len(result.requests), "record")
        raise IncompleteError(
            f"no answer for {len(result.failures)} of {wanted} in "
            f"{run.out / JOURNAL_FILE}; {request.kind} of {request.context.id}: {reason}. "
            "Run again to ask for them again."
        )
