"""Each program runs its listed scenarios, and tests check all of them."""

import ast
from pathlib import Path

import pytest

from tests.clients.clients import SCENARIOS
from tests.clients.conftest import Run
from tests.clients.running import require_clients


def collect_checked_scenarios() -> set[str]:
    """Return the scenarios of this folder's parametrised tests."""
    calls = [
        node
        for file in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    arguments = [call.args for call in calls if call.func.id == "parametrize_scenarios"]  # type: ignore[attr-defined]
    return {a.value for args in arguments for a in args if isinstance(a, ast.Constant)}  # type: ignore[misc]


@pytest.mark.parametrize("program", SCENARIOS)
def test_runs_its_scenarios(program: str, run: Run) -> None:
    require_clients()
    assert set(run(program)) == SCENARIOS[program]


def test_every_scenario_is_checked() -> None:
    assert collect_checked_scenarios() == frozenset().union(*SCENARIOS.values())
