"""Whether the engine compiles the model on a machine."""

import sysconfig
from pathlib import Path

import pytest
import torch

from server.engine_loading import can_compile

CPU = torch.device("cpu")


@pytest.fixture
def headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of Python's headers."""
    monkeypatch.setattr(sysconfig, "get_path", {"include": str(tmp_path)}.__getitem__)
    (tmp_path / "Python.h").touch()
    return tmp_path


@pytest.mark.usefixtures("headers")
def test_a_cpu_compiles_where_there_is_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert not can_compile(CPU)
    compiler = tmp_path / "g++"
    compiler.touch(mode=0o755)
    assert can_compile(CPU)
    monkeypatch.setenv("CXX", "other++")
    assert not can_compile(CPU)
    monkeypatch.setenv("CXX", str(compiler))
    assert can_compile(CPU)


def test_a_cpu_compiles_where_there_are_headers(
    headers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "g++").touch(mode=0o755)
    monkeypatch.setenv("CXX", str(tmp_path / "g++"))
    assert can_compile(CPU)
    (headers / "Python.h").unlink()
    assert not can_compile(CPU)


def test_a_gpu_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert can_compile(torch.device("cuda"))
