"""The command: its plan, and runs that measure everything once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from tqdm import tqdm
from typer.testing import CliRunner, Result

import benchmarks.__main__ as command
from benchmarks.__main__ import Plan, Run, _select_workloads
from benchmarks.journal import Measurement
from benchmarks.measure import _compute_cpu_per_request
from benchmarks.random_checkpoint import write_in_own_process
from benchmarks.shapes.llava_1_5 import LLAVA_15_SMALL
from benchmarks.shapes.qwen import ONEVISION_05B
from benchmarks.suites import TINY
from benchmarks.systems import LLAVA_TINY, RunningServer, ServedModel, System
from tests.benchmarks.test_shapes import shrink

PLAN = Plan(
    rounds=2,
    timing=TINY.quick,
    workloads=("W1", "W4"),
    eager=True,
    with_vllm_bench=False,
    peer_arguments=("--block-size", "32"),
)


class FakeMeasurements:
    """Replaces servers and loads, and records the calls in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        self.fails_at = ""
        self.peer_options: tuple[str, ...] = ()
        self.model = LLAVA_TINY
        self.is_eager = False
        monkeypatch.setattr(command, "run_system", self._running)
        monkeypatch.setattr(command, "measure_memory_mib", lambda _: 100.0)
        monkeypatch.setattr(command, "measure_load", self._measure_load)
        monkeypatch.setattr(command, "measure_engine", self._measure_engine)
        self._system = ""

    @contextmanager
    def _running(
        self, system: System, _: Path, *, model: ServedModel, eager: bool
    ) -> Iterator[RunningServer]:
        self._system = system.name
        self.model, self.is_eager = model, eager
        if system.name == "peer":
            self.peer_options = system.options
        yield RunningServer("http://x", 1, 2.5)

    def _measure_load(self, _: RunningServer, __: Any, work: Any, *___: Any) -> dict[str, float]:
        return self._note(f"{self._system} {work.name}")

    def _measure_engine(
        self, names: list[str], *_: Any, **__: Any
    ) -> Iterator[tuple[str, dict[str, float]]]:
        for name in names:
            yield name, self._note(f"engine {name}")

    def _note(self, what: str) -> dict[str, float]:
        if what == self.fails_at:
            raise KeyboardInterrupt
        self.seen.append(what)
        return {"requests_per_s": 5.0}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> FakeMeasurements:
    """Replace servers and loads."""
    return FakeMeasurements(monkeypatch)


def invoke(*arguments: str) -> Result:
    """Run the command."""
    app = typer.Typer()
    app.command()(command.main)
    return CliRunner().invoke(app, arguments)


def run(folder: Path) -> list[Measurement]:
    with tqdm(disable=True) as progress:
        this = Run(PLAN, folder, progress)
        this.measure_all()
    return this.journal.measurements


def test_the_systems_take_turns(stage: FakeMeasurements, tmp_path: Path) -> None:
    measured = run(tmp_path)
    once = ["ours W1", "ours W4", "peer W1", "peer W4", "engine W1"]
    assert stage.seen == once * 2
    assert len(measured) == PLAN.num_measurements == 14
    start_up = next(each for each in measured if each.workload == "W10")
    assert start_up.figures == {"ready_s": 2.5, "rest_mib": 100, "after_mib": 100}
    assert stage.peer_options == ("--block-size", "32")


def test_a_run_that_was_cut_off_goes_on(stage: FakeMeasurements, tmp_path: Path) -> None:
    stage.fails_at = "peer W4"
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    stage.fails_at = ""
    stage.seen.clear()
    run(tmp_path)
    assert stage.seen[:2] == ["peer W4", "engine W1"]
    assert stage.seen[2:5] == ["ours W1", "ours W4", "peer W1"]
    stage.seen.clear()
    assert len(run(tmp_path)) == PLAN.num_measurements
    assert stage.seen == []


def test_the_command_prints_and_writes_what_was_measured(
    stage: FakeMeasurements, tmp_path: Path
) -> None:
    done = invoke("--out", str(tmp_path), "--quick", "--only", "W1")
    assert done.exit_code == 0, done.output
    assert stage.seen == ["ours W1", "peer W1", "engine W1"]
    assert "W1" in done.output
    assert {path.name for path in tmp_path.iterdir()} == {
        *("journal.jsonl", "results.json", "results.md", "results.png"),
    }


def test_a_shape_has_its_own_model_workloads_and_folder(
    stage: FakeMeasurements, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = shrink(ONEVISION_05B)
    monkeypatch.setattr(command, "SHAPES", {small.name: small})
    monkeypatch.setattr(command, "SHAPES_FOLDER", tmp_path / "shapes")
    done = invoke("--out", str(tmp_path / "out"), "--shape", small.name, "--only", "S1,S3")
    assert done.exit_code == 0, done.output
    assert stage.seen == ["ours S1", "ours S3", "peer S1", "peer S3"]
    assert stage.model.name == small.name
    assert (stage.model.path / "config.json").is_file()
    assert (tmp_path / "out" / small.name / "results.md").is_file()


def test_a_shape_for_gpus_has_its_suite_and_is_measured_with_the_engine_alone(
    stage: FakeMeasurements, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = shrink(LLAVA_15_SMALL)
    monkeypatch.setattr(command, "SHAPES", {small.name: small})
    monkeypatch.setattr(command, "SHAPES_FOLDER", tmp_path / "shapes")
    done = invoke("--out", str(tmp_path / "out"), "--shape", small.name, "--only", "W1,W5,W9 text")
    assert done.exit_code == 0, done.output
    loads = ["W1", "W5", "W9 text"]
    assert stage.seen == [
        *(f"{system} {name}" for system in ("ours", "peer") for name in loads),
        *("engine W1", "engine W5"),
    ]
    assert stage.is_eager  # on a CPU
    assert not stage.model.on_gpu
    assert "at least 4.00" in done.output


def test_on_a_gpu_it_compiles_and_tells_the_memory_of_the_card(
    stage: FakeMeasurements, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = shrink(LLAVA_15_SMALL)
    monkeypatch.setattr(command, "SHAPES", {small.name: small})
    monkeypatch.setattr(command, "write_on_fastest_device", lambda *_: tmp_path)
    monkeypatch.setattr(command, "has_gpu", lambda: True)
    monkeypatch.setattr(command, "measure_gpu_memory_mib", lambda _: 70_000.0)
    done = invoke("--out", str(tmp_path / "out"), "--shape", small.name, "--quick", "--only", "W1")
    assert done.exit_code == 0, done.output
    assert stage.model.on_gpu
    assert not stage.is_eager
    assert "GPU MiB at rest" in done.output


def test_weights_can_be_written_in_a_process_of_its_own(tmp_path: Path) -> None:
    small = shrink(LLAVA_15_SMALL)
    path = write_in_own_process(small, tmp_path, torch.device("cpu"))
    assert path.parent == tmp_path
    assert (path / "model.safetensors.index.json").is_file()


def test_an_unknown_shape_is_named(tmp_path: Path) -> None:
    done = invoke("--out", str(tmp_path), "--shape", "onevision-9b")
    assert done.exit_code == 2
    assert "onevision-0.5b" in done.output


def test_the_quick_run_leaves_out_the_streamed_repeats() -> None:
    assert "W3 streamed" in _select_workloads("", quick=False)
    assert "W3 streamed" not in _select_workloads("", quick=True)
    assert "W9 photo" in _select_workloads("", quick=True)


def test_named_workloads_come_in_their_own_order() -> None:
    assert _select_workloads("W5, W1", quick=True) == ("W1", "W5")


def test_an_unknown_workload_is_named() -> None:
    with pytest.raises(typer.BadParameter, match="W99"):
        _select_workloads("W1,W99", quick=False)


def test_cpu_time_is_told_by_role_and_never_below_nothing() -> None:
    told = _compute_cpu_per_request(
        {"server": 1.0, "decode": 3.0}, {"server": 1.5, "decode": 2.0}, 10
    )
    assert told == {
        "cpu_ms_per_request": pytest.approx(50),
        "cpu_ms_per_request:server": pytest.approx(50),
        "cpu_ms_per_request:decode": 0,
    }
