"""Parametrises a test over the client programs that have a scenario."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.clients import SCENARIOS

PROMPTS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "programs" / "prompts.json").read_text()
)

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def parametrize_scenarios(*scenarios: str) -> Decorator:
    """Run a test for each program with these scenarios; `result` is the scenario's result."""
    cases = [
        pytest.param((program, scenario), id=f"{program}-{scenario}")
        for program, program_scenarios in SCENARIOS.items()
        for scenario in scenarios
        if scenario in program_scenarios
    ]
    assert cases, scenarios
    return pytest.mark.parametrize("result", cases, indirect=True)
