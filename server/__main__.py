"""`llava-server`, also `python -m server`: serve a model, or run another command."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from server.commands import run


def main() -> NoReturn:
    """Run the command that the command line names, and exit with its code."""
    program = Path(sys.argv[0]).name
    exit_code = run(sys.argv[1:], "python -m server" if program == "__main__.py" else program)
    sys.stdout.flush()
    sys.stderr.flush()
    # All is closed. To take a torch process's interpreter apart would cost seconds more.
    os._exit(exit_code)


if __name__ == "__main__":
    main()
