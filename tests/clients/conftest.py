"""What the clients got, and what the same requests get without any client."""

import subprocess
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
import pytest

from tests.api.pictures import data_url
from tests.api.running import RunningServer
from tests.clients.asked import ASKED
from tests.clients.running import IMAGE, finished, printed, require_clients

Run = Callable[[str], dict[str, Any]]
Answer = dict[str, Any]


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    """Run a program, once."""

    @cache
    def run(program: str) -> subprocess.CompletedProcess[str]:
        server: RunningServer = request.getfixturevalue("server")
        return finished(program, server.url)

    return lambda program: printed(run(program))


@pytest.fixture
def result(request: pytest.FixtureRequest, run: Run) -> Any:
    """Return what a scenario returned."""
    require_clients()
    program, scenario = request.param
    outcome = run(program)[scenario]
    assert "raised" not in outcome, outcome["raised"]
    return outcome["returned"]


@pytest.fixture
def chat(request: pytest.FixtureRequest) -> Callable[..., Answer]:
    """Ask the server as curl would; returns the answer as programs print it."""

    def chat(*messages: dict[str, Any], **options: Any) -> Answer:
        # Not before it is needed, so that skipped tests start no server.
        server: RunningServer = request.getfixturevalue("server")
        wishes = {"model": ASKED["model"], "temperature": 0, "max_tokens": ASKED["max_tokens"]}
        answer = httpx.post(
            f"{server.url}/v1/chat/completions",
            json=wishes | {"messages": messages} | options,
            timeout=60,
        ).raise_for_status()
        body = answer.json()
        return {
            "text": body["choices"][0]["message"]["content"],
            "finish": body["choices"][0]["finish_reason"],
            "prompt_tokens": body["usage"]["prompt_tokens"],
            "completion_tokens": body["usage"]["completion_tokens"],
        }

    return chat


@pytest.fixture(scope="session")
def image_url() -> str:
    """The picture that programs show."""
    return data_url(IMAGE.read_bytes())
