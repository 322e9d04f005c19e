"""The last line of a check says whether the model can be served."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from model_store.store import find_model
from server.start.command import FAILED, OK, main
from tests.server.test_gpu_memory import FILE_BYTES, fake_gpus


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a GPU of 8 GiB, which holds the embedded model and no 7B."""
    monkeypatch.setattr("server.process.machine.GPU_DEVICES", ("/dev/null",))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    fake_gpus(monkeypatch, 8)


def check(*words: str) -> int:
    """Check with these words, on any port."""
    return main(["--check", "--port", "0", *words], "llava-server", {})


def test_a_model_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--accelerator", "cpu") == OK
    *_, last = capsys.readouterr().out.splitlines()
    assert last == "OK: llava-tiny can be served with these settings."


def test_a_model_that_is_to_be_pulled(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--model", "org/no-such-model") == OK
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("OK so far: the settings are right. org/no-such-model is not in the")


@pytest.mark.usefixtures("gpu")
def test_a_model_that_fits_the_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--log-format", "json") == OK
    shown = json.loads(capsys.readouterr().out)
    assert shown["verdict"] == "OK: llava-tiny fits the GPU and can be served with these settings"


@pytest.mark.usefixtures("gpu")
def test_a_model_that_does_not_fit_the_gpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Path(shutil.copytree(find_model("llava-tiny"), tmp_path / "large"))
    with (model / "more.safetensors").open("wb") as file:
        file.truncate(FILE_BYTES)
    assert check("--model", str(model)) == FAILED
    printed = capsys.readouterr()
    assert "OK" not in printed.out
    assert printed.err.startswith("llava-server cannot start: the model does not fit a GPU of 8.0")


@pytest.mark.usefixtures("gpu")
def test_a_gpu_that_pytorch_cannot_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check("--accelerator", "cuda") == FAILED
    assert "PyTorch finds no usable GPU" in capsys.readouterr().err
