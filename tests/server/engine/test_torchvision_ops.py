"""`import torchvision` works beside a CPU PyTorch, and our declarations stay out of the way."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.cpp_extension import include_paths, library_paths

from server.engine import torchvision_ops
from server.engine.torchvision_ops import declare_missing_ops

cpu_build = pytest.mark.skipif(
    torch.version.cuda is not None or torch.version.hip is not None,
    reason="a GPU build of PyTorch is left alone",
)

NMS = "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

# Torchvision's native library declares this operator when it loads.
NATIVE_LIBRARY = f"""
#include <torch/library.h>
TORCH_LIBRARY_FRAGMENT(torchvision, m) {{
  m.def("{NMS}");
}}
"""

DECLARED = (
    "import torch, server.engine.torchvision_ops as ours;"
    "print(ours._library is not None, hasattr(torch.ops.torchvision, 'nms'))"
)


def run_python(code: str, search_path: Path | None = None) -> str:
    """Run code in a fresh interpreter, with `search_path` first, and return its output."""
    if search_path is not None:
        code = f"import sys; sys.path.insert(0, {str(search_path)!r}); {code}"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def write_torchvision(folder: Path, native: Path | None) -> Path:
    """Write a folder that shadows the installed torchvision, with this native library."""
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("")
    if native is not None:
        shutil.copy(native, package / "_C.so")
    return folder


@pytest.fixture(scope="module")
def native_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a native library that loads with this PyTorch, as its own CPU build's would."""
    folder = tmp_path_factory.mktemp("native")
    source, library = folder / "ops.cpp", folder / "ops.so"
    source.write_text(NATIVE_LIBRARY)
    command = ["g++", "-std=c++20", "-shared", "-fPIC", str(source), "-o", str(library)]
    command += [f"-I{path}" for path in include_paths()]
    command += [f"-L{path}" for path in library_paths()] + ["-ltorch_cpu", "-lc10"]
    subprocess.run(command, check=True, timeout=120)
    return library


def test_torchvision_is_importable_and_not_imported_early() -> None:
    code = "import sys, torch; print('torchvision' in sys.modules); import torchvision"
    assert run_python(code) == "False"


@cpu_build
def test_declares_nothing_where_torchvision_brings_its_operators(
    tmp_path: Path, native_library: Path
) -> None:
    shadow = write_torchvision(tmp_path, native_library)
    assert run_python(DECLARED, shadow) == "False True"


@cpu_build
def test_declares_the_operators_where_the_native_library_does_not_load(tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"not a library")
    shadow = write_torchvision(tmp_path, broken)
    assert run_python(DECLARED, shadow) == "True True"


def test_declares_nothing_without_a_native_library(tmp_path: Path) -> None:
    shadow = write_torchvision(tmp_path, None)
    assert run_python(DECLARED, shadow) == "False False"


def test_declares_nothing_without_torchvision() -> None:
    hide = "import sys; sys.modules['torchvision'] = None; "
    assert run_python(hide + DECLARED) == "False False"


@pytest.mark.parametrize("build", ["cuda", "hip"])
def test_declares_nothing_on_a_gpu_build(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, build, "13.0")
    monkeypatch.setattr(torchvision_ops, "_library", None)
    declare_missing_ops()
    assert torchvision_ops._library is None
