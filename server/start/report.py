"""Prints what a start reports before logs begin: mistakes, a failure, the resolved settings."""

import sys
from collections.abc import Mapping, Sequence

from server.start.mistakes import Mistake
from server.start.resolved import ResolvedSetting, format_json, format_text
from server.telemetry.logs import configure_logs, get_logger

log = get_logger(__name__)

CANNOT_START = "llava-server cannot start"


def is_json_wanted(given: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Whether logs are to be JSON, even if other settings are wrong."""
    variables = {name.upper(): text for name, text in environ.items()}
    return given.get("log_format", variables.get("LLAVA_LOG_FORMAT")) == "json"


def report_mistakes(mistakes: Sequence[Mistake], *, as_json: bool) -> None:
    """Print all mistakes to stderr, one a line."""
    if as_json:
        configure_logs("info", "json")
        for mistake in mistakes:
            log.error(CANNOT_START, setting=mistake.written, reason=mistake.problem)
    elif len(mistakes) == 1:
        print(f"{CANNOT_START}: {mistakes[0]}", file=sys.stderr)
    else:
        lines = (f"  {mistake}" for mistake in mistakes)
        print(f"{CANNOT_START}: {len(mistakes)} mistakes", *lines, sep="\n", file=sys.stderr)


def report_notes(notes: Sequence[Mistake], *, as_json: bool) -> None:
    """Print to stderr what would prevent a start now although the settings are right."""
    if as_json and notes:
        configure_logs("info", "json")
    for note in notes:
        if as_json:
            log.warning("checked", setting=note.written, reason=note.problem)
        else:
            print(f"note: {note}", file=sys.stderr)


def report_failure(reason: str, *, as_json: bool) -> None:
    """Print why the start failed, in one line on stderr."""
    if as_json:
        configure_logs("info", "json")
        log.error(CANNOT_START, reason=reason)
    else:
        print(f"{CANNOT_START}: {reason}", file=sys.stderr)


def print_resolved(
    resolved: Sequence[ResolvedSetting], verdict: str | None, *, as_json: bool
) -> None:
    """Print settings and verdict to stdout, as text or JSON; without one, stderr says why."""
    if as_json:
        print(format_json(resolved, verdict))
        return
    print(format_text(resolved), flush=True)
    if verdict is not None:
        print(f"\n{verdict}.")
