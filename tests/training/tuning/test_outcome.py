"""What a run says at its end: where the model is, how to serve it, how long it took, its losses."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import torch
from transformers import TrainingArguments

from tests.training.tuning.fixtures import INPUTS
from tests.training.tuning.test_stages import CAPTIONS, RECORDS, SMALL, SOURCES
from training.tuning import run
from training.tuning.command import main
from training.tuning.dataset import TuningDataset
from training.tuning.errors import DataError, MissingImageError
from training.tuning.loading import load_model
from training.tuning.options import StageParser
from training.tuning.report import _format_duration
from training.tuning.settings import TrainSettings, build_settings
from training.tuning.sources import SourceError


def test_the_end_of_stage_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [*SOURCES, *CAPTIONS, *SMALL, "--max-steps", "2", "--out", "my model"]
    assert main("align", words, "python -m training") == 0
    printed = capsys.readouterr().err
    out = shlex.quote(str(tmp_path / "my model"))
    assert re.search(r"[\r\n]Trained 2 steps in \d+ s, last loss \d+\.\d{4}\.\n", printed)
    assert f"\n  {shlex.quote(sys.executable)} -m server serve --model {out}\n" in printed
    assert f"train instruct --model {out} --data FILE --images DIR --out DIR\n" in printed


def test_the_end_of_an_adapter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = (*SOURCES, *RECORDS, *SMALL, "--max-steps", "1", "--lora", "--lora-r", "2")
    evaluation = ("--eval-data", INPUTS / "data52.json", "--out", tmp_path / "out")
    assert main("instruct", list(map(str, (*given, *evaluation))), "llava-server train") == 0
    printed = capsys.readouterr().err
    assert re.search(r", last loss \d+\.\d+, evaluation loss \d+\.\d+\.\n", printed)
    out = tmp_path / "out"
    assert f"serve --model {out} --lora-adapters tuned={out}/adapter\n" in printed


def test_the_end_of_a_resumed_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build_arguments = run.build_arguments

    def keep_states(settings: TrainSettings) -> TrainingArguments:
        arguments = build_arguments(settings)
        arguments.save_total_limit = None
        return arguments

    monkeypatch.setattr(run, "build_arguments", keep_states)
    given = [*SOURCES, *CAPTIONS, *SMALL, "--max-steps", "3", "--save-steps", "2"]
    words = [*given, "--out", str(tmp_path / "out")]
    assert main("align", words, "train") == 0
    shutil.rmtree(tmp_path / "out")
    shutil.rmtree(tmp_path / "out.work" / "checkpoint-3")
    capsys.readouterr()
    assert main("align", [*words, "--resume"], "train") == 0
    printed = capsys.readouterr().err
    assert "Trained 3 steps, 1 of them since it was resumed, in " in printed


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.4, "4 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_000, "25 h 0 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert _format_duration(seconds) == text


@pytest.mark.parametrize("kind", [DataError, MissingImageError])
def test_an_error_of_a_process_that_reads_images_is_a_line(
    kind: type[DataError],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(*_: object) -> None:
        raise kind("a.json, record 1: the image a.png is bad")

    monkeypatch.setattr(TuningDataset, "__getitem__", read)
    words = [*SOURCES, *CAPTIONS, *SMALL, "--workers", "1", "--out", str(tmp_path / "out")]
    assert main("align", words, "train") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "error: a.json, record 1: the image a.png is bad"


def test_weights_of_another_model_are_not_written(tmp_path: Path) -> None:
    words = [*SOURCES, *RECORDS, "--lora", "--out", str(tmp_path / "out")]
    settings = build_settings(StageParser("instruct", "train").parse_args(words), "instruct")
    model = load_model(settings.sources, torch.float32, settings.seed)
    run.choose_parameters(model, settings)
    weights = model.trained_state()
    run._reload(settings, weights)
    name, *others = weights
    for changed, message in (
        ({other: weights[other] for other in others}, re.escape(name)),
        (weights | {"language_model.other": weights[name]}, r"language_model\.other"),
        (weights | {name: torch.zeros(1, 2, 3)}, "do not fit: .*size mismatch"),
    ):
        with pytest.raises(SourceError, match=message):
            run._reload(settings, changed)
