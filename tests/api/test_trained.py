"""A model that `llava-server train` has made, and its adapter, answer as they stand."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.pictures import body, circle_and_square, image_part, text_part, user
from tests.api.running import RunningServer, running_server
from tests.training.tuning.test_stages import CAPTIONS, RECORDS, SMALL, SOURCES, train_stage


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Train both stages, the second with adapters, and serve the result."""
    folder = tmp_path_factory.mktemp("trained")
    train_stage("align", *SOURCES, *CAPTIONS, *SMALL, "--out", folder / "aligned")
    train_stage(
        "instruct",
        *("--model", folder / "aligned", *RECORDS, *SMALL, "--out", folder / "tuned"),
        *("--lora", "--lora-r", "8", "--learning-rate", "1e-2", "--epochs", "2"),
    )
    adapter: Path = folder / "tuned" / "adapter"
    with running_server(
        *("--model", str(folder / "tuned"), "--lora-adapters", f"adapted={adapter}"),
        *("--cpu-kv-cache-gib", "1", "--enforce-eager=true", "--dtype", "float32"),
    ) as server:
        yield server


def test_both_answer_about_a_picture(trained: RunningServer) -> None:
    question = user(image_part(circle_and_square()), text_part("What is this?"))
    answers = {}
    for model in ("tuned", "adapted"):
        request = {**body(question, max_tokens=24, temperature=0), "model": model}
        response = httpx.post(f"{trained.url}/v1/chat/completions", json=request, timeout=60)
        assert response.status_code == 200, response.text
        usage = response.json()["usage"]
        assert usage["prompt_tokens"] > 16  # the image's tokens
        answers[model] = response.json()["choices"][0]["message"]["content"]
    assert answers["tuned"] != answers["adapted"]
