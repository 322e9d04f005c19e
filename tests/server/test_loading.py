"""What the server chooses for a machine."""

from pathlib import Path

import pytest
import torch

from server.loading import _can_compile

CPU = torch.device("cpu")


def test_a_cpu_compiles_where_there_is_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert not _can_compile(CPU)
    compiler = tmp_path / "g++"
    compiler.touch(mode=0o755)
    assert _can_compile(CPU)
    monkeypatch.setenv("CXX", "other++")
    assert not _can_compile(CPU)
    monkeypatch.setenv("CXX", str(compiler))
    assert _can_compile(CPU)


def test_a_gpu_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _can_compile(torch.device("cuda"))
