"""`llava-server serve`: read the settings, report all mistakes, check, then load and serve."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from server import __version__
from server.engine.problems import Problem
from server.process.early_signals import ignore_hangups
from server.process.writable_folders import check_temporary_folder, provide_home
from server.settings import Settings
from server.settings.options import Option, list_options
from server.start.mistakes import Mistake
from server.start.parsing import CommandLine, parse_command_line
from server.start.validation import read_settings, write_setting
from server.start.variables import find_variable_mistakes

if TYPE_CHECKING:
    from server.start.preparation import Preparation
    from server.start.resolved import ResolvedSetting

OK: Final = 0
FAILED: Final = 1
MISTAKEN: Final = 2


def main(words: Sequence[str], program: str, commands: Mapping[str, str]) -> int:
    """Serve, or print what the command line asks for; return the exit code.

    `commands` has the purpose of each command, for the help.
    """
    command_line = parse_command_line(words, commands)
    if command_line.wants_help:
        # Imported here, and others below, so that only what is needed is imported.
        from server.start.help import format_help

        print(format_help(program, commands))
        return OK
    if command_line.wants_version:
        print(f"llava-server {__version__}")
        return OK
    return start(command_line, os.environ)


@dataclass(frozen=True, slots=True)
class Mode:
    """What to do with valid settings.

    A mode may have `options` of its own, which `resolve` shows, and more checks.
    """

    run: Callable[["Preparation"], int]
    options: Sequence[Option] = ()
    find_problems: Callable[[Settings], Iterable[Problem]] = lambda _: ()
    resolve: Callable[[], Sequence["ResolvedSetting"]] = tuple


def start(command_line: CommandLine, environ: Mapping[str, str], mode: Mode | None = None) -> int:
    """Check everything, report all mistakes, or go on as `mode` says: by default, serve."""
    given = command_line.values
    settings, wrong = read_settings(given, environ)
    if settings.keys_file is not None:
        ignore_hangups()  # until the keys file's watcher handles the signal
    from server.start.preparation import Preparation
    from server.start.report import is_json_wanted, report_failure, report_mistakes

    as_json = is_json_wanted(given, environ)
    try:
        check_temporary_folder()
    except OSError as error:
        report_failure(str(error), as_json=as_json)
        return FAILED
    with ExitStack() as stack:
        stack.enter_context(provide_home())
        mistakes = [
            *command_line.mistakes,
            *find_variable_mistakes(environ, mode.options if mode else ()),
            *wrong.values(),
        ]
        meant = {each.setting for each in mistakes if each.setting} - given.keys()
        faulty = wrong.keys() | meant
        prepared = Preparation(settings, faulty, stack, only_checks=command_line.wants_check)
        problems = [*prepared.problems, *(mode.find_problems(settings) if mode else ())]
        mistakes += _name_settings(problems, given, environ)
        if mistakes:
            report_mistakes(mistakes, as_json=as_json)
            return MISTAKEN
        if command_line.wants_check:
            return _check(prepared, given, environ, mode.resolve() if mode else (), as_json=as_json)
        from server.start.serving import StartFailed, pull_and_serve

        try:
            return mode.run(prepared) if mode else pull_and_serve(prepared)
        except StartFailed as error:
            report_failure(str(error), as_json=as_json)
            return FAILED


def _check(
    prepared: "Preparation",
    given: Mapping[str, str],
    environ: Mapping[str, str],
    more: Sequence["ResolvedSetting"],
    *,
    as_json: bool,
) -> int:
    """Print the settings, `more` of them first, and whether the model can be served with them."""
    from server.checkpoint.config import CheckpointError
    from server.start.report import print_resolved, report_failure, report_notes
    from server.start.resolved import resolve_all
    from server.start.verdict import judge

    settings, checkpoint = prepared.settings, prepared.checkpoint
    report_notes(_name_settings(prepared.notes, given, environ), as_json=as_json)
    resolved = [*more, *resolve_all(settings, checkpoint, given, environ)]
    try:
        verdict = judge(settings, checkpoint)
    except CheckpointError as error:
        print_resolved(resolved, None, as_json=as_json)
        report_failure(str(error), as_json=as_json)
        return FAILED
    print_resolved(resolved, verdict, as_json=as_json)
    return OK


def _name_settings(
    problems: Sequence[tuple[str, str]], given: Mapping[str, str], environ: Mapping[str, str]
) -> Sequence[Mistake]:
    """Return problems as mistakes, each with its setting as the user wrote it."""
    options = {option.name: option for option in list_options()}
    return [
        Mistake(write_setting(options[name], given, environ), text) if name else Mistake("", text)
        for name, text in problems
    ]
