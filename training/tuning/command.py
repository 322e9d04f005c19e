"""`llava-server train align` and `train instruct`: the paper's two stages for any LLaVA."""

import argparse
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tqdm import tqdm

from training.saved_state import describe_saved_state
from training.tuning.destinations import choose_work
from training.tuning.errors import DataError, OptionError
from training.tuning.library_logs import hide_missing_kernel
from training.tuning.options import Stage, StageParser
from training.tuning.settings import build_settings

# The exit code of what SIGINT has ended, as shells have it.
INTERRUPTED: Final = 130
# What a traceback has before the text of one of our errors.
_CLASS: Final = re.compile(r"^training\.[a-z_.]+\.\w+: ")
# What torch says in a RuntimeError where a file cannot be written.
_WRITE_FAILED: Final = re.compile("inline_container|PytorchStreamWriter|iostream")


def main(stage: Stage, words: Sequence[str], name: str) -> int:
    """Train one stage as the command line says; return the exit code."""
    hide_missing_kernel()
    arguments = StageParser(stage, name).parse_args(words)
    try:
        return _train(arguments, stage, name)
    except KeyboardInterrupt:
        _print(": ".join(("interrupted", *_describe_rest(arguments))))
        return INTERRUPTED


def _train(arguments: argparse.Namespace, stage: Stage, name: str) -> int:
    # Imported here, so that --help and mistakes need little.
    from safetensors import SafetensorError

    from model_store.errors import ConversionError
    from training.tuning.run import train
    from training.tuning.sources import SourceError

    try:
        outcome = train(build_settings(arguments, stage))
    except (ConversionError, DataError, OptionError, SourceError) as error:
        return _report(_last_line(error))
    except (OSError, SafetensorError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _WRITE_FAILED.search(str(error)):
            raise
        return _report("; ".join((_describe(error), *_describe_rest(arguments))))
    if outcome is not None:
        _print(outcome.describe(_find_program(name)))
    return 0


def _describe_rest(arguments: argparse.Namespace) -> Sequence[str]:
    """Return whether a run can go on, as one sentence; none where it would only have checked."""
    return () if arguments.check_only else (describe_saved_state(choose_work(arguments)),)


def _find_program(name: str) -> str:
    """Return `llava-server` as it can be typed in this shell, given how `train` was named."""
    program = name.removesuffix(" train")
    if program.startswith("python -m"):
        return f"{shlex.quote(sys.executable)} -m server"
    return program if shutil.which(program) else shlex.quote(sys.argv[0])


def _report(reason: str) -> int:
    _print(f"error: {reason}")
    return 1


def _print(line: str) -> None:
    """Print a line after progress bars, which would otherwise be drawn over it."""
    bars: Iterable[Any] = list(getattr(tqdm, "_instances", ()))
    for bar in bars:
        bar.close()
    print(line, file=sys.stderr)


def _last_line(error: Exception) -> str:
    """Return the last line: a process that read images sends its traceback before it."""
    (reason,) = str(error).strip().splitlines()[-1:] or [""]
    return _CLASS.sub("", reason)


def _describe(error: Exception) -> str:
    """Return what kept a file from being read or written."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, RuntimeError):
        return "the state of the run cannot be written: is the disk full?"
    return _last_line(error)
