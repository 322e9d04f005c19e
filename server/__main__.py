"""`llava-server`, also `python -m server`: serve a model, or run another command."""

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from server.commands import run
from server.process.standard_streams import open_missing_streams


def main() -> NoReturn:
    """Run the command that the command line names, and exit with its code."""
    open_missing_streams()
    program = Path(sys.argv[0]).name
    exit_code = run(sys.argv[1:], "python -m server" if program == "__main__.py" else program)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # a full disk or a closed pipe
            stream.flush()
    # All is closed. To take a torch process's interpreter apart would cost seconds more.
    os._exit(exit_code)


if __name__ == "__main__":
    main()
