"""A fake server that `run_system` starts; its options choose its faults."""

import argparse
import json
import os
import signal
import subprocess
import sys
from http.server import HTTPServer

from tests.web import QuietHandler


def read_options() -> argparse.Namespace:
    """Parse the fake server's options; a real server's are ignored."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--port", type=int)
    parser.add_argument("--dies", type=int, help="end at once, with this code")
    parser.add_argument("--refuses", type=int, default=0, help="number of health checks that fail")
    parser.add_argument("--ignores-sigterm", action="store_true")
    parser.add_argument(
        "--has-child", action="store_true", help="start a child that does not end by itself"
    )
    return parser.parse_known_args()[0]


def main() -> None:
    """Serve `/ready`, and a description of this process at `/about`."""
    options = read_options()
    print("standing in", flush=True)
    if options.dies is not None:
        sys.exit(options.dies)
    if options.ignores_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"]).pid if options.has_child else None
    about = {
        "arguments": sys.argv[1:],
        "environment": dict(os.environ),
        "session": os.getsid(0),
        "group": os.getpgid(0),
        "child": child,
    }

    class Handler(QuietHandler):
        refusals = options.refuses

        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            """Answer; `/ready` fails as often as `--refuses` says."""
            refused = self.path == "/ready" and Handler.refusals > 0
            Handler.refusals -= refused
            self.send_response(503 if refused else 200)
            self.end_headers()
            self.wfile.write(json.dumps(about).encode())

    with HTTPServer(("127.0.0.1", options.port), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
