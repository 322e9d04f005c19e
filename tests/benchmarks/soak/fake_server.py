"""A server without an engine, which a soak starts; `--leaks-permits` is its fault."""

import argparse
import json
import os
import signal
import urllib.request
from http.server import ThreadingHTTPServer
from typing import Any

import pybase64

from tests.web import QuietHandler

EVENTS = b"data: {}\n\n" * 5 + b"data: [DONE]\n\n"
PNG_END = b"IEND\xaeB`\x82"
FETCH_TIMEOUT_S = 0.3


def find_fault(body: dict[str, Any]) -> str | None:
    """Return the error code of a body that the real server would refuse, too."""
    messages = body.get("messages", [{"content": ""}])
    if not isinstance(messages, list) or not messages or body.get("n", 1) < 1:
        return "invalid_value"
    if body.get("response_format", {}).get("type") == "poem" or "temperature" in body:
        return "invalid_value"
    parts = messages[0]["content"]
    urls = [each["image_url"]["url"] for each in parts if "image_url" in each]
    return next(filter(None, map(_find_image_fault, urls)), None)


def _find_image_fault(url: str) -> str | None:
    if url.startswith("data:"):
        image = pybase64.b64decode(url.partition(",")[2])
        return None if image.endswith(PNG_END) else "image_corrupt"
    try:
        with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as response:  # noqa: S310
            response.read()
    except OSError:
        return "image_fetch_failed"
    return None


class Handler(QuietHandler):
    """Answers all endpoints."""

    protocol_version = "HTTP/1.1"
    permits = 0

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        """Be ready; show the permits."""
        self._send(200, b"llava:num_requests_running %d\n" % self.permits)

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        """Answer whole or as a stream, or refuse."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        code = find_fault(body)
        if code is not None:
            self._send(400, json.dumps({"error": {"code": code}}).encode())
        else:
            self._send(200, EVENTS if body.get("stream") else b"{}")

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--port", type=int)
    parser.add_argument("--leaks-permits", action="store_true")
    options = parser.parse_known_args()[0]
    Handler.permits = int(options.leaks_permits)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ThreadingHTTPServer.request_queue_size = 500
    with ThreadingHTTPServer(("127.0.0.1", options.port), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients hang up
        server.serve_forever()


if __name__ == "__main__":
    main()
