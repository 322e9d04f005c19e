"""Shared by the programs: their requests, and printing of the results as one JSON object."""

import asyncio
import base64
import inspect
import json
import os
import re
import time
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

URL = os.environ["BASE_URL"]
RETRY_URL = os.environ["RETRY_URL"]  # answers its first request with a 429, then passes on
IMAGE = Path(os.environ["IMAGE"])
IMAGE_URL = f"data:image/png;base64,{base64.b64encode(IMAGE.read_bytes()).decode()}"
BROKEN_URL = "data:image/png;base64,AAAA"
PROMPTS = json.loads(Path(__file__).with_name("prompts.json").read_text())
MODEL: str = PROMPTS["model"]
MAX_TOKENS: int = PROMPTS["max_tokens"]
ABORT_LIMIT_S = 10

Scenario = Callable[[], Any]
SCENARIOS: dict[str, Scenario] = {}


class Shape(BaseModel):
    """The schema of tools and structured outputs."""

    model_config = ConfigDict(extra="forbid")

    shape: Literal["circle", "square", "triangle", "star"]
    count: int = Field(ge=0, le=9)


def scenario(function: Scenario) -> Scenario:
    """Register a function as the scenario of its name."""
    SCENARIOS[function.__name__] = function
    return function


def user(text: str, image_url: str | None = None) -> dict[str, Any]:
    """Return a user message of OpenAI's chat completions."""
    if image_url is None:
        return {"role": "user", "content": text}
    image = {"type": "image_url", "image_url": {"url": image_url}}
    return {"role": "user", "content": [image, {"type": "text", "text": text}]}


def turns() -> list[dict[str, Any]]:
    """Return a conversation with an image that ends with a question."""
    answered = {"role": "assistant", "content": PROMPTS["red"]}
    return [user(PROMPTS["circle"], IMAGE_URL), answered, user(PROMPTS["star"])]


def tool(name: str) -> dict[str, Any]:
    """Return a tool of OpenAI's chat completions."""
    function = {
        "name": name,
        "description": PROMPTS["tools"][name],
        "parameters": PROMPTS["schema"],
    }
    return {"type": "function", "function": function}


REPORT, PAINT = (tool(name) for name in PROMPTS["tools"])
NAMED = {"type": "function", "function": {"name": "report_shape"}}


def after_a_call() -> list[dict[str, Any]]:
    """Return a conversation in which a tool has been called and has answered."""
    function = {"name": "report_shape", "arguments": '{"shape": "star", "count": 1}'}
    call = {"id": "call_1", "type": "function", "function": function}
    return [
        user(PROMPTS["report"]),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": PROMPTS["said"]},
    ]


def failure(ask: Callable[[], Any], message: Callable[[Exception], str] = str) -> dict[str, Any]:
    """Return what a client raises, in the attributes that OpenAI's errors have."""
    try:
        answer = ask()
    except Exception as error:
        fields = ("status_code", "param", "code", "type")
        values = {name: getattr(error, name, None) for name in fields}
        return {"raised": type(error).__name__, "message": message(error), **values}
    raise AssertionError(f"nothing was raised, but {answer}")


def cancelled() -> float:
    """Return how many requests the server has seen abandoned."""
    with urllib.request.urlopen(URL.removesuffix("/v1") + "/metrics") as response:  # noqa: S310
        metrics = response.read().decode()
    found = re.findall(r'^llava:requests_total\{.*outcome="cancelled".*\} (\S+)$', metrics, re.M)
    return sum(map(float, found))


def cancelled_more_than(before: float) -> bool:
    """Return whether the server sees another request abandoned within the limit."""
    deadline = time.monotonic() + ABORT_LIMIT_S
    while time.monotonic() < deadline:
        if cancelled() > before:
            return True
        time.sleep(0.05)
    return False


def main() -> None:
    """Run all scenarios and print what each returned, or the traceback of what it raised."""
    results: dict[str, Any] = {}
    with asyncio.Runner() as runner:
        for name, function in SCENARIOS.items():
            try:
                value = function()
                if inspect.iscoroutine(value):
                    value = runner.run(value)
                results[name] = {"returned": value}
            except Exception:
                results[name] = {"raised": traceback.format_exc()}
    print(json.dumps(results))
