"""Each program runs the scenarios that it is said to have, and tests look at all of them."""

import ast
from pathlib import Path

import pytest

from tests.clients.clients import SCENARIOS
from tests.clients.conftest import Run
from tests.clients.running import require_clients


def checked_scenarios() -> set[str]:
    """Return the scenarios that tests of this folder are parametrised with."""
    calls = [
        node
        for file in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    arguments = [call.args for call in calls if call.func.id == "asked"]  # type: ignore[attr-defined]
    return {a.value for args in arguments for a in args if isinstance(a, ast.Constant)}  # type: ignore[misc]


@pytest.mark.parametrize("program", SCENARIOS)
def test_runs_its_scenarios(program: str, run: Run) -> None:
    require_clients()
    assert set(run(program)) == SCENARIOS[program]


def test_every_scenario_is_checked() -> None:
    assert checked_scenarios() == frozenset().union(*SCENARIOS.values())
