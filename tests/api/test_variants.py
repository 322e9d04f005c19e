"""A server with LoRA adapters and one of vLLM's tool parsers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.lora import write_adapter
from tests.api.pictures import body, circle_and_square, image_part, text_part, user
from tests.api.running import RunningServer, running_server

QUESTION = user(image_part(circle_and_square()), text_part("Describe the image."))
TOOL = {
    "type": "function",
    "function": {
        "name": "report",
        "parameters": {"type": "object", "properties": {"shape": {"enum": ["circle", "star"]}}},
    },
}
CALL = '<tool_call>\n{"name": "report", "arguments": {"shape": "star"}}\n</tool_call>'


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the embedded model with two adapters; return the address."""
    folder = tmp_path_factory.mktemp("adapters")
    same = write_adapter(folder / "same", scale=0)
    odd = write_adapter(folder / "odd", scale=0.5)
    with running_server(
        *("--cpu-kv-cache-gib", "1", "--enforce-eager=true"),
        *("--lora-adapters", f"same={same},odd={odd}", "--tool-parser", "hermes"),
    ) as server:
        yield server.url


def ask(url: str, **changes: Any) -> dict[str, Any]:
    """Return the first choice of an answer."""
    request = {**body(QUESTION, temperature=0, max_tokens=40), **changes}
    response = httpx.post(f"{url}/v1/chat/completions", json=request, timeout=60)
    assert response.status_code == 200, response.text
    choice: dict[str, Any] = response.json()["choices"][0]
    return choice


def test_adapters_are_models(url: str) -> None:
    models = httpx.get(f"{url}/v1/models").json()["data"]
    assert [model["id"] for model in models] == ["llava-tiny", "same", "odd"]
    assert [model.get("parent") for model in models] == [None, "llava-tiny", "llava-tiny"]


def test_an_adapter_adapts_and_leaves_the_model_alone(url: str) -> None:
    answers = {
        model: ask(url, model=model)["message"]["content"]
        for model in ("llava-tiny", "same", "odd")
    }
    assert answers["same"] == answers["llava-tiny"] != answers["odd"]
    again = ask(url, model="llava-tiny")["message"]["content"]
    assert again == answers["llava-tiny"]


def test_a_name_that_is_neither_model_nor_adapter(url: str) -> None:
    response = httpx.post(f"{url}/v1/chat/completions", json={**body(QUESTION), "model": "x"})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


def test_the_parser_reads_calls(url: str) -> None:
    choice = ask(url, tools=[TOOL], structured_outputs={"choice": [CALL]}, max_tokens=100)
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "report"
    assert json.loads(call["function"]["arguments"]) == {"shape": "star"}
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")


def test_the_parser_reads_calls_in_a_stream(url: str) -> None:
    request = body(
        QUESTION, tools=[TOOL], structured_outputs={"choice": ["Well. " + CALL]}, stream=True
    )
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=request, timeout=60) as response:
        lines = [line[6:] for line in response.iter_lines() if line.startswith("data: {")]
    choices = [json.loads(line)["choices"][0] for line in lines]
    calls = [call for each in choices for call in each["delta"].get("tool_calls", [])]
    assert {call["index"] for call in calls} == {0}
    assert [call["function"].get("name") for call in calls if "id" in call] == ["report"]
    arguments = "".join(call["function"].get("arguments", "") for call in calls)
    assert json.loads(arguments) == {"shape": "star"}
    text = "".join(each["delta"].get("content") or "" for each in choices)
    assert text.strip() == "Well."
    assert choices[-1]["finish_reason"] == "tool_calls"


def test_without_a_call_the_parser_leaves_the_text_alone(url: str) -> None:
    plain = ask(url, tools=[TOOL], tool_choice="none")
    assert plain["message"]["content"].startswith("A ")
    free = ask(url, tools=[TOOL])
    assert free["message"].get("tool_calls") is None
    assert free["finish_reason"] in ("stop", "length")


def test_a_required_call_is_forced_all_the_same(url: str) -> None:
    choice = ask(url, tools=[TOOL], tool_choice="required", max_tokens=100)
    (call, *_) = choice["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]).get("shape", "star") in ("circle", "star")


@pytest.mark.parametrize("fault", ["no folder", "no configuration", "the model's name"])
def test_faults_of_adapters_are_told_at_start(fault: str, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "a", scale=0)
    name = "a"
    if fault == "no folder":
        adapter = tmp_path / "b"
    elif fault == "no configuration":
        (adapter / "adapter_config.json").unlink()
    else:
        name = "llava-tiny"
    server = RunningServer("--lora-adapters", f"{name}={adapter}")
    assert server.wait_for_exit() in (1, 2)
    said = "\n".join(server.log)
    assert "adapter" in said or "lora_adapters" in said
    assert "Traceback" not in said
