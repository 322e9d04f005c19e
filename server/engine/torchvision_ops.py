"""Lets PyPI's torchvision, built for CUDA, be imported beside a CPU build of PyTorch.

On import torchvision describes its operators to PyTorch, which fails where its native library
could not be loaded and so never declared them. Nothing here calls these operators: their schemas
are enough. PyTorch calls `declare_missing_ops` at the end of every `import torch` (entry point
group `torch.backends`), so it holds in the engine's own processes too.
"""

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

# The declarations last only as long as the library that made them.
_library: torch.library.Library | None = None


def declare_missing_ops() -> None:
    """Does nothing on a GPU build of PyTorch, or where torchvision is absent or brings its own."""
    global _library
    if _library is not None or not _is_cpu_build():
        return
    native = _torchvision_native_library()
    if native is None or _loads(native):
        return
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        _library.define(schema)


def _is_cpu_build() -> bool:
    return torch.version.cuda is None and torch.version.hip is None


def _torchvision_native_library() -> Path | None:
    spec = find_spec("torchvision")  # finds it without importing it
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    candidates = (folder / f"_C{suffix}" for suffix in EXTENSION_SUFFIXES)
    return next((path for path in candidates if path.exists()), None)


def _loads(native: Path) -> bool:
    """Loads the library as torchvision is about to do: true exactly where that will succeed."""
    try:
        torch.ops.load_library(native)
    except OSError:
        return False
    return True
