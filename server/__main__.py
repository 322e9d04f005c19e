"""`python -m server`: read the options and serve; `python -m server chat`: talk to a server."""

import logging
import os
import sys
from contextlib import suppress

from server.early_signals import exit_on_signals
from server.standard_streams import open_missing_streams
from server.writable_folders import check_temporary_folder


def main() -> int:
    """Run the server, or the terminal's client of one; return its exit code."""
    if sys.argv[1:2] == ["chat"]:
        from server.terminal.program import NAME
        from server.terminal.program import main as chat

        return chat(sys.argv[2:], NAME)
    open_missing_streams()
    exit_on_signals()
    return _serve()


def _serve() -> int:
    # Imported here, so that the client, which needs none of it, starts fast.
    from pydantic import ValidationError

    from server.settings import Settings

    try:
        settings = Settings(_cli_parse_args=True)
    except ValidationError as error:
        for fault in error.errors():
            print(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}", file=sys.stderr)
        return 2
    # Before torch is loaded, which needs the folder.
    try:
        check_temporary_folder()
    except OSError as error:
        print(f"llava-server cannot start: {error}", file=sys.stderr)
        return 1
    # Imported here, so that --help and wrong options are answered before torch is loaded.
    from server.serve import serve

    return serve(settings)


if __name__ == "__main__":
    exit_code = main()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # a full disk or a closed pipe
            stream.flush()
    # All is closed. To take a torch process's interpreter apart would cost seconds more.
    os._exit(exit_code)
