"""`python -m server`: options from the command line and the environment, then serve."""

import os
import sys

from pydantic import ValidationError

from server.settings import Settings


def main() -> int:
    """Run the server; return its exit code."""
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
