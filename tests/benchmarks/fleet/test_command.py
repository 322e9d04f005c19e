"""The command: parameters from a file, a report with charts."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from benchmarks.fleet.__main__ import SCENARIOS, main
from benchmarks.fleet.parameters import Parameters, load_parameters
from benchmarks.fleet.report import write_fleet_report
from benchmarks.fleet.scenarios import (
    affinity,
    autoscaling,
    capacity,
    hot_images,
    lost_node,
    updating,
)
from tests.benchmarks.fleet.cells import build_setup

app = Typer()
app.command()(main)


def write_toml(folder: Path, text: str) -> Path:
    """Write a file of parameters."""
    path = folder / "own.toml"
    path.write_text(text)
    return path


def test_a_file_replaces_what_it_names(tmp_path: Path) -> None:
    loaded = load_parameters(write_toml(tmp_path, "encode_s = 0.004\nimage_cache = 50\n"))
    assert loaded == Parameters(encode_s=0.004, image_cache=50)
    assert load_parameters(None) == Parameters()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("no_such_figure = 1", "no_such_figure"),
        ("encode_s = -1", "encode_s"),
        ("encode_s = nan", "encode_s"),
        ("kv_cache_tokens = 100", "kv_cache_tokens"),
        ("answer_min_tokens = 300", "answer_max_tokens"),
        ("encode_s =", "Invalid"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    options = ["--out", str(tmp_path), "--parameters", str(write_toml(tmp_path, text))]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 2
    assert named in result.output
    assert "Traceback" not in result.output


def test_unknown_scenarios_are_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--out", str(tmp_path), "--only", "nothing"])
    assert result.exit_code == 2
    assert "hot-images" in result.output


def test_the_command_writes_what_it_was_asked_for(tmp_path: Path) -> None:
    own = write_toml(tmp_path, "image_cache = 20\n")
    options = ["--out", str(tmp_path / "out"), "--only", "sizes", "--parameters", str(own)]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "out" / "fleet.json").read_text())
    assert list(written["tables"]) == ["sizes"]
    assert written["conditions"]["parameters"]["image_cache"] == 20
    assert "| LLaVA-1.5-13B | 2 x L4 |" in (tmp_path / "out" / "fleet.md").read_text()


# Steps after an event are cut short, and so is the time that one replica runs alone.
SHORTER: dict[ModuleType, dict[str, Any]] = {
    capacity: {"LONGER": 1, "SHARES": (0.5, 0.9)},
    affinity: {"RATES": (8.0,)},
    lost_node: {"AFTER_S": 30.0},
    autoscaling: {"RUN_S": 10.0, "STEADY_S": 10.0, "MIN_REPLICAS": 2, "START_S": (5.0,)},
    hot_images: {},
    updating: {"RUN_S": 40.0, "START_S": 5.0},
}


@pytest.mark.parametrize("module", SHORTER, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_scenario_compares_and_draws(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SHORTER[module].items():
        monkeypatch.setattr(module, name, value)
    part = module.simulate(build_setup(1, replicas=2, seconds=12))
    assert SCENARIOS[part.name] is module.simulate
    markdown = write_fleet_report(tmp_path, [part], {})
    assert all(table.title in markdown for table in part.tables)
    chart = tmp_path / f"fleet-{part.name}.png"
    assert chart.stat().st_size < 80_000
    with Image.open(chart) as image:
        assert image.format == "PNG"
