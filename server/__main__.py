"""`python -m server`: read the options and serve; `chat`: talk to a server; `keys`: API keys."""

import os
import sys


def main() -> int:
    """Run the server, the terminal's client of one, or the commands of keys; return exit codes."""
    if sys.argv[1:2] == ["chat"]:
        from server.terminal.program import NAME
        from server.terminal.program import main as chat

        return chat(sys.argv[2:], NAME)
    if sys.argv[1:2] == ["keys"]:
        from server.keys.command import main as keys

        return keys(sys.argv[2:])
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
    # Imported here, so that --help and wrong options are answered before torch is loaded.
    from server.serve import serve

    return serve(settings)


if __name__ == "__main__":
    exit_code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # All is closed. To take a torch process's interpreter apart would cost seconds more.
    os._exit(exit_code)
