"""Parametrises a test over the programs that have a scenario."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.clients import SCENARIOS

ASKED: dict[str, Any] = json.loads((Path(__file__).parent / "programs" / "asked.json").read_text())

Mark = Callable[[Callable[..., None]], Callable[..., None]]


def asked(*scenarios: str) -> Mark:
    """Run a test once for each program and scenario, with what it returned as `result`."""
    cases = [
        pytest.param((program, scenario), id=f"{program}-{scenario}")
        for program, its_own in SCENARIOS.items()
        for scenario in scenarios
        if scenario in its_own
    ]
    assert cases, scenarios
    return pytest.mark.parametrize("result", cases, indirect=True)
