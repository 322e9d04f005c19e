"""Requests that need one part of the server each, and what the server holds."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image

from tests.api.pictures import body, encoded, image_part, text_part, user
from tests.api.running import RunningServer, metric

CHAT = "/v1/chat/completions"
# A library that only one kind of worker has loaded.
LIBRARIES = {"decode": "_imaging.", "grammar": "llguidance", "template": "_speedups."}

# Connections that are kept alive for a while, and workers that are just replaced.
SPARE_FILES = 8

_numbers = itertools.count(1)


def build_text_request(**options: Any) -> dict[str, Any]:
    """Return a request that needs only the engine."""
    return body(user("Hello"), **({"max_tokens": 2} | options))


def build_image_request(image: bytes | str | None = None, **options: Any) -> dict[str, Any]:
    """Return a request about an image, by default about one that no cache knows."""
    return body(
        user(image_part(image or draw_new_image()), text_part("What is it?")),
        **({"max_tokens": 2} | options),
    )


def build_grammar_request() -> dict[str, Any]:
    """Return a request with a grammar that no cache knows."""
    regex = f"(yes|no){{{next(_numbers)},300}}"
    return build_text_request(structured_outputs={"regex": regex})


def build_template_request() -> dict[str, Any]:
    """Return a request with a template of its own."""
    template = "{{ messages[0]['content'] }}" + f" {next(_numbers)}"
    return build_text_request(chat_template=template)


REQUESTS: dict[str, Callable[[], dict[str, Any]]] = {
    "decode": build_image_request,
    "grammar": build_grammar_request,
    "template": build_template_request,
}


def draw_new_image(side: int = 96) -> bytes:
    """Return a PNG in a color of its own."""
    number = next(_numbers)
    return encoded(Image.new("RGB", (side, side), (number % 251, number // 251, 77)))


def draw_large_image() -> bytes:
    """Return a PNG of 64 megapixels, which takes about a second to decode."""
    color = (next(_numbers) % 251, 99, 99)
    return encoded(Image.new("RGB", (8000, 8000), color), compress_level=1)


def find_workers(server: RunningServer, kind: str) -> set[int]:
    """Return the process ids of the workers of a kind."""
    return {pid for pid, found in _list_workers(server) if found == kind}


def _list_workers(server: RunningServer) -> Iterator[tuple[int, str]]:
    for pid, command in server.children().items():
        if "spawn_main" not in command:
            continue
        try:
            maps = Path(f"/proc/{pid}/maps").read_text()
        except OSError:
            continue
        for kind, library in LIBRARIES.items():
            if library in maps:
                yield pid, kind


def check_text(http: httpx.Client, limit_s: float = 15) -> None:
    """Check that a request that needs the engine only is answered in time."""
    began = time.monotonic()
    assert http.post(CHAT, json=build_text_request()).status_code == 200
    assert time.monotonic() - began < limit_s


def read_error(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the error code of a refusal."""
    return response.status_code, response.json()["error"]["code"]


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a server holds beside its memory."""

    files: int
    permits: float

    @classmethod
    def read(cls, server: RunningServer) -> "Holdings":
        """Read them now."""
        return cls(
            psutil.Process(server.process.pid).num_fds(),
            metric(server.url, "llava:num_requests_running"),
        )

    def wait_until_back(self, server: RunningServer, limit_s: float = 20) -> None:
        """Block until the server holds no more than this again, but for `SPARE_FILES`."""
        deadline = time.monotonic() + limit_s
        while not self._covers(now := Holdings.read(server)):
            assert time.monotonic() < deadline, f"{now} after {self}"
            time.sleep(0.1)

    def _covers(self, now: "Holdings") -> bool:
        return now.files <= self.files + SPARE_FILES and now.permits <= self.permits
