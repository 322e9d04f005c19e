"""A server with options of the engine, and one whose options cannot work."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.pictures import body, circle_and_square, image_part, text_part, user
from tests.api.running import RunningServer, running_server

QUESTION = user(image_part(circle_and_square()), text_part("Describe the image."))
SPECULATION = '{"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 3}'


@pytest.fixture(scope="module")
def optioned() -> Iterator[RunningServer]:
    """Serve the embedded model, quantised, with a cache of 8 bits and speculative decoding."""
    with running_server(
        *("--cpu-kv-cache-gib", "1", "--enforce-eager=true", "--seed", "7"),
        *("--quantization", "int8_per_channel_weight_only", "--kv-cache-dtype", "fp8"),
        *("--speculative-config", SPECULATION, "--no-enable-prefix-caching"),
        *("--engine-args", '{"scheduling-policy": "priority"}'),
    ) as running:
        yield running


def ask(url: str) -> dict[str, Any]:
    request = body(QUESTION, temperature=0, max_tokens=40)
    response = httpx.post(f"{url}/v1/chat/completions", json=request, timeout=120)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_an_answer_like_that_without_options(
    optioned: RunningServer, server: RunningServer
) -> None:
    text = ask(optioned.url)["choices"][0]["message"]["content"]
    assert text == ask(server.url)["choices"][0]["message"]["content"]


def test_prefixes_are_not_cached(optioned: RunningServer) -> None:
    for _ in range(2):
        details = ask(optioned.url)["usage"].get("prompt_tokens_details") or {}
        assert not details.get("cached_tokens")


# Exit code 2 tells a mistake that is found before anything is imported, 1 what vLLM refuses.
@pytest.mark.parametrize(
    ("options", "exit_code", "message"),
    [
        (("--tensor-parallel-size", "3"), 2, "3 does not divide the model's 4 attention heads"),
        (("--engine-args", '{"max_logprobs": "x"}'), 1, "max_logprobs: Input should be a valid"),
    ],
)
def test_options_that_cannot_work(options: tuple[str, ...], exit_code: int, message: str) -> None:
    command = [sys.executable, "-m", "server", "--port", "0", "--accelerator", "cpu", *options]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == exit_code
    assert [line for line in run.stderr.splitlines() if message in line]
    assert "Traceback" not in run.stderr
