"""Runs a client program against the server and parses its output."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.api.error_response import build_error_response
from server.errors import TooManyRequests
from tests.web import QuietHandler, serve_http

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".clients"
IMAGE = ROOT / "model_store" / "llava-tiny" / "examples" / "scene-1.png"
PROGRAM_LIMIT_S = 120

# The environment of a program. Without the setting LiteLLM fetches prices from the network.
INHERITED = ("HOME", "LANG", "PATH", "TMPDIR")
SETTINGS = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "127.0.0.1"}


@contextmanager
def serve_refusing_once(url: str) -> Iterator[str]:
    """Relay requests to the server; the first one gets the response of a full server."""
    refusal = build_error_response(TooManyRequests("The server is at its limit.", retry_after=1))
    tries: list[str] = []

    class Handler(QuietHandler):
        def do_POST(self) -> None:  # noqa: N802
            body = self.rfile.read(int(self.headers["content-length"]))
            tries.append(self.path)
            if len(tries) == 1:
                self._answer(refusal.status_code, dict(refusal.headers), bytes(refusal.body))
                return
            headers = {"content-type": "application/json"}
            answer = httpx.post(url + self.path, content=body, headers=headers, timeout=60)
            self._answer(answer.status_code, dict(answer.headers), answer.content)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    with serve_http(Handler) as proxy:
        yield proxy
    assert len(tries) in (0, 2), tries


def command(program: str) -> list[str]:
    """Return the command of a program, with the clients of `make clients`."""
    if program.endswith(".mjs"):
        # Node resolves modules beside the link to the programs, not beside its target.
        options = ["--preserve-symlinks", "--preserve-symlinks-main"]
        return ["node", *options, str(HOME / "node" / "programs" / program)]
    module = f"tests.clients.programs.{program.removesuffix('.py')}"
    return [str(HOME / "python" / "bin" / "python"), "-m", module]


def require_clients() -> None:
    """Skip the test if the clients are not installed; fail it in CI."""
    if (HOME / ".setup").exists():
        return
    if os.environ.get("CI"):
        pytest.fail("the clients are not installed: make clients")
    pytest.skip("make clients")


def run_program(program: str, url: str) -> subprocess.CompletedProcess[str]:
    """Run a program against the server at a URL."""
    with serve_refusing_once(url) as retry_url:
        environment = {
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
            **SETTINGS,
            "BASE_URL": f"{url}/v1",
            "RETRY_URL": f"{retry_url}/v1",
            "IMAGE": str(IMAGE),
        }
        return subprocess.run(
            command(program),
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PROGRAM_LIMIT_S,
        )


def parse_results(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Parse each scenario's result or error. Fails with the program's stderr."""
    assert run.returncode == 0, run.stderr
    results: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return results
