"""Results of the client programs, and of the same requests without a client."""

import subprocess
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
import pytest

from tests.api.pictures import data_url
from tests.api.running import RunningServer
from tests.clients.running import IMAGE, parse_results, require_clients, run_program
from tests.clients.scenarios import PROMPTS

Run = Callable[[str], dict[str, Any]]
Answer = dict[str, Any]


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    """Return a function that runs each program once."""

    @cache
    def run(program: str) -> subprocess.CompletedProcess[str]:
        server: RunningServer = request.getfixturevalue("server")
        return run_program(program, server.url)

    return lambda program: parse_results(run(program))


@pytest.fixture
def result(request: pytest.FixtureRequest, run: Run) -> Any:
    """Return a scenario's result."""
    require_clients()
    program, scenario = request.param
    outcome = run(program)[scenario]
    assert "raised" not in outcome, outcome["raised"]
    return outcome["returned"]


@pytest.fixture
def chat(request: pytest.FixtureRequest) -> Callable[..., Answer]:
    """Return a function that asks the server directly and answers in the programs' format."""

    def chat(*messages: dict[str, Any], **options: Any) -> Answer:
        # Requested here, so that skipped tests start no server.
        server: RunningServer = request.getfixturevalue("server")
        fields = {"model": PROMPTS["model"], "temperature": 0, "max_tokens": PROMPTS["max_tokens"]}
        answer = httpx.post(
            f"{server.url}/v1/chat/completions",
            json=fields | {"messages": messages} | options,
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
    """Return the URL of the programs' image."""
    return data_url(IMAGE.read_bytes())
