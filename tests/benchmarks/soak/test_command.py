"""Whole soaks, of a server without an engine."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from benchmarks.soak import __main__ as command
from benchmarks.soak import faults, server

SECONDS = 10
FAKE = replace(server.SYSTEM, module="tests.benchmarks.soak.fake_server")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have faults and pauses that are short."""
    monkeypatch.setattr(server, "SYSTEM", FAKE)
    monkeypatch.setattr(command, "FAULT_INTERVAL_S", 1.0)
    monkeypatch.setattr(command, "SETTLE_S", 0.2)
    monkeypatch.setattr(faults, "HOST_FAULT_S", 0.3)


def soak(out: Path, *options: str) -> Result:
    """Run the command."""
    app = Typer()
    app.command()(command.main)
    return CliRunner().invoke(
        app, ["--out", str(out), "--seconds", str(SECONDS), "--clients", "4", *options]
    )


def test_a_good_server_passes(tmp_path: Path) -> None:
    result = soak(tmp_path)
    assert result.exit_code == 0, result.output
    assert "Verdict: passed." in result.output
    results = json.loads((tmp_path / "soak.json").read_text())
    assert results["passed"]
    assert len(results["faults"]) > 6
    assert all(fault["recovery_s"] is not None for fault in results["faults"])
    assert len(results["resources"]) > 10
    kinds = {kind for window in results["windows"] for kind, *_ in window["outcomes"]}
    assert len(kinds) > 10


def test_a_server_that_is_killed_is_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = faults.FaultInjector.list_kinds

    def list_killing(self: faults.FaultInjector, *, with_restarts: bool) -> list[faults.FaultKind]:
        kinds = every(self, with_restarts=with_restarts)
        return [kind for kind in kinds if kind.name == "server killed"]

    monkeypatch.setattr(faults.FaultInjector, "list_kinds", list_killing)
    result = soak(tmp_path, "--restart")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "soak.json").read_text())["faults"]
    assert {fault["name"] for fault in found} == {"server killed"}
    assert max(fault["start_s"] for fault in found) <= 0.6 * SECONDS


def test_a_server_that_keeps_permits_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leaky = replace(FAKE, options=(*FAKE.options, "--leaks-permits"))
    monkeypatch.setattr(server, "SYSTEM", leaky)
    result = soak(tmp_path)
    assert result.exit_code == 1
    assert "- 1 permits were not given back" in result.output
