"""Asks the server from inside its container: `python - wait|ask|stream|refused < client.py`."""

import base64
import json
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from importlib.resources import files
from typing import Any, Final

START_LIMIT_S: Final = 400


def send(method: str, path: str, body: dict[str, Any] | None = None) -> HTTPResponse:
    """Send a request."""
    connection = HTTPConnection("127.0.0.1", 8000, timeout=120)
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, {"Content-Type": "application/json"})
    return connection.getresponse()


def is_ready() -> bool:
    """Whether the server is ready; false while it does not listen."""
    try:
        return send("GET", "/ready").status == 200
    except OSError:
        return False


def wait() -> None:
    """Wait until the server is ready, and say after how long."""
    started = time.monotonic()
    while not is_ready():
        if time.monotonic() > started + START_LIMIT_S:
            sys.exit("not ready in time")
        time.sleep(0.5)
    print(f"{time.monotonic() - started:.0f} s")


def build_question() -> list[dict[str, Any]]:
    """Return a question about an example image that the package holds."""
    image = files("model_store").joinpath("llava-tiny/examples/scene-1.png").read_bytes()
    url = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    parts = [
        {"type": "text", "text": "Describe the image."},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    return [{"role": "user", "content": parts}]


def ask() -> None:
    """Print the answer to a question about an image."""
    answer = send("POST", "/v1/chat/completions", {"messages": build_question()})
    print(json.load(answer)["choices"][0]["message"]["content"])


def read_events(answer: HTTPResponse) -> Iterator[str]:
    """Yield the data of an event stream."""
    for line in answer:
        if line.startswith(b"data: "):
            yield line.decode().removeprefix("data: ").strip()


def stream() -> None:
    """Print `first`, the number of chunks, and the last event of a long answer."""
    body = {"messages": build_question(), "stream": True, "max_tokens": 1900, "ignore_eos": True}
    events = read_events(send("POST", "/v1/chat/completions", body))
    next(events)
    print("first", flush=True)
    rest = list(events)
    print(len(rest), rest[-1])


def refused() -> None:
    """Print the status of a request to a server that drains."""
    print(send("POST", "/v1/chat/completions", {"messages": build_question()}).status)


if __name__ == "__main__":
    {"wait": wait, "ask": ask, "stream": stream, "refused": refused}[sys.argv[1]]()
