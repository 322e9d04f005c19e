"""`llava-server`, also `python -m server`: serve a model, or run another command."""

import logging
import os
import sys
from pathlib import Path
from typing import Final, NoReturn

from server.commands import run
from server.process.standard_streams import (
    LOST,
    flush_stdout,
    open_missing_streams,
    prepare_outputs,
    report_lost_output,
)

# The exit code when standard output is closed, as in click's programs.
OUTPUT_LOST: Final = 1


def main() -> NoReturn:
    """Run the command from the command line, and exit with its code."""
    open_missing_streams()
    prepare_outputs()
    program = Path(sys.argv[0]).name
    exit_code = _run("python -m server" if program == "__main__.py" else program)
    logging.shutdown()
    sys.stderr.flush()
    # Everything is closed. With torch loaded, a regular interpreter exit would take seconds more.
    os._exit(exit_code)


def _run(program: str) -> int:
    """Run the command. Return its exit code, or raise its `SystemExit`, with all output written."""
    try:
        exit_code = run(sys.argv[1:], program)
    except OSError as error:
        if error.errno not in LOST:
            raise
        report_lost_output(error)
        return OUTPUT_LOST
    except SystemExit as end:
        if flush_stdout():
            raise SystemExit(end.code or OUTPUT_LOST) from None
        raise
    return exit_code or OUTPUT_LOST if flush_stdout() else exit_code


if __name__ == "__main__":
    main()
