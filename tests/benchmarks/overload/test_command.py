"""The command and its report, without servers."""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import benchmarks.overload.__main__ as command
from benchmarks.journal import Measurement
from benchmarks.overload.loads import Load
from benchmarks.overload.measure import LoadRunner
from benchmarks.overload.report import build_overload_tables, print_overload_report
from benchmarks.systems import RunningServer, System

OVERLOAD = {
    "goodput_per_s": 95.0,
    "refusals_per_s": 900.0,
    "latency_ms_p99": 300.0,
    "refusal_ms_p99": 60.0,
    "goodput_ratio": 0.95,
    "p99_ratio": 2.5,
    "clients": 160.0,
    "saturating_clients": 16.0,
}
FAIRNESS = {"goodput_per_s": 90.0, "refusals_per_s": 9.0, "polite_share": 0.5}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace servers and loads; return what was measured."""
    seen: list[str] = []

    @contextmanager
    def run_system(system: System, _: Path, **__: Any) -> Iterator[RunningServer]:
        seen.append(f"{system.name}{' with keys' if '--api-keys' in system.options else ''}")
        yield RunningServer("http://x", 1, 2.0)

    def measure_saturation(_: LoadRunner, load: Load, clients: int) -> dict[str, float]:
        seen.append(f"{load.name} {clients}")
        return {"goodput_per_s": 100.0, "refusals_per_s": 0.0}

    def measure_overload(
        _: LoadRunner, load: Load, saturation: Mapping[int, Any]
    ) -> dict[str, float]:
        seen.append(f"{load.name} overload of {len(saturation)}")
        return dict(OVERLOAD)

    monkeypatch.setattr(command, "run_system", run_system)
    monkeypatch.setattr(LoadRunner, "measure_saturation", measure_saturation)
    monkeypatch.setattr(LoadRunner, "measure_overload", measure_overload)
    monkeypatch.setattr(LoadRunner, "measure_fairness", lambda _: dict(FAIRNESS))
    return seen


def invoke(*arguments: str) -> Any:
    """Run the command."""
    app = typer.Typer()
    app.command()(command.main)
    return CliRunner().invoke(app, arguments)


def test_both_servers_are_measured_and_ours_with_two_keys(runs: list[str], tmp_path: Path) -> None:
    done = invoke("--out", str(tmp_path), "--quick", "--only", "text,fairness")
    assert done.exit_code == 0, done.output
    loads = [*(f"text {clients}" for clients in (8, 16, 32, 64)), "text overload of 4"]
    assert runs == ["ours", *loads, "ours with keys", "peer", *loads] or runs == [
        *("ours", *loads),
        *("peer", *loads),
        "ours with keys",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("journal.jsonl", "results.json", "results.md"),
    }
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["rounds"]) == 11
    assert results["environment"]["cores"]
    assert "| text |" in (tmp_path / "results.md").read_text()


def test_a_run_that_was_cut_off_goes_on(runs: list[str], tmp_path: Path) -> None:
    arguments = ("--out", str(tmp_path), "--quick", "--only", "text", "--system", "ours")
    assert invoke(*arguments).exit_code == 0
    runs.clear()
    assert invoke(*arguments).exit_code == 0
    assert runs == []


def test_unknown_loads_are_named(tmp_path: Path) -> None:
    assert "unknown: video" in invoke("--out", str(tmp_path), "--only", "video").output


def test_the_report_says_which_targets_are_reached() -> None:
    tables = build_overload_tables(
        [
            Measurement(0, "ours", "text overload", dict(OVERLOAD)),
            Measurement(0, "peer", "text overload", {"goodput_ratio": 0.5, "clients": 160.0}),
            Measurement(0, "ours", "fairness", dict(FAIRNESS)),
        ]
    )
    rows = {row[1].split(" over")[0]: row[3:] for row in tables[-1].rows}
    assert rows["goodput"] == ("0.95", "yes", "0.50", "NO")
    assert rows["p99 of admitted"] == ("2.50", "NO", "-", "-")
    assert rows["p99 of a 429, ms"] == ("60.0", "yes", "-", "-")
    assert rows["polite key beside a flood, of its rate alone"][:2] == ("0.50", "yes")
    assert [row[1] for row in tables[0].rows] == ["ours", "vLLM"]
    printed = io.StringIO()
    print_overload_report(tables, printed)
    assert "At ten times its clients" in printed.getvalue()
