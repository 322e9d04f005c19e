"""`llava-server scale`: several replicas on this machine, behind one address."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from server import __version__
from server.engine.problems import Problem
from server.process.early_signals import Stopped, ignore_hangups, stop_on_signals
from server.scale.options import SCALE_OPTIONS, take_options
from server.scale.refusals import find_gpu_problems, find_refused
from server.settings import Settings
from server.settings.options import list_options
from server.start.command import OK, Mode, start
from server.start.help import format_options, wrap
from server.start.parsing import parse_command_line
from server.start.preparation import Preparation
from server.start.resolved import resolve_options

INTRODUCTION: Final = (
    "Serve with several replicas on this machine, which Ray Serve places and watches, behind one"
    " address. SIGHUP replaces them one after another. All options of a server are those of each"
    " replica; docs/scale.md says more, also of clusters."
)
NO_RAY: Final = "Ray is not installed: pip install 'llava-server[ray]', or make setup"


def main(argv: Sequence[str], prog: str) -> int:
    """Run replicas until stopped; return the exit code."""
    stop_on_signals()
    ignore_hangups()  # so do Ray's processes, which a terminal that closes would end
    try:
        return _main(argv, prog)
    except Stopped:
        return OK


def _main(argv: Sequence[str], prog: str) -> int:
    command_line = parse_command_line(argv, more=SCALE_OPTIONS)
    if command_line.wants_help:
        print(f"usage: {prog} [options]", "", *wrap(INTRODUCTION), sep="\n")
        print(*format_options([*SCALE_OPTIONS, *list_options()]), sep="\n")
        return OK
    if command_line.wants_version:
        print(f"llava-server {__version__}")
        return OK
    given = dict(command_line.values)
    options = take_options(command_line, os.environ)

    def run(prepared: Preparation) -> int:
        from server.start.serving import StartFailed

        if find_spec("ray") is None:
            raise StartFailed(NO_RAY)
        # Imported here: mistakes are reported first, and Ray reads its variables on import.
        from server.scale.ray_variables import set_ray_variables

        with tempfile.TemporaryDirectory(prefix="llava-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            set_ray_variables(folder)
            from server.scale.launcher import launch

            return launch(options, command_line.values, prepared, folder)

    def find_problems(settings: Settings) -> Iterator[Problem]:
        yield from find_refused(settings)
        for name, problem in find_gpu_problems(options, settings):
            yield "", f"--{name.replace('_', '-')}: {problem}"

    resolve = partial(resolve_options, SCALE_OPTIONS, options, given, os.environ)
    return start(command_line, os.environ, Mode(run, SCALE_OPTIONS, find_problems, resolve))
