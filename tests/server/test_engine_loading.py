"""Whether the engine compiles the model on a machine."""

from pathlib import Path

import pytest
import torch

from server.engine_loading import can_compile

CPU = torch.device("cpu")


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


def test_a_gpu_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert can_compile(torch.device("cuda"))
