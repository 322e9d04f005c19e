"""Makes PyPI's torchvision, built for CUDA, importable beside a CPU build of PyTorch.

On import torchvision registers fake kernels for its operators with PyTorch. That fails where its
native library did not load and so never declared the operators. Nothing here calls these
operators: their schemas are enough. PyTorch calls `declare_missing_ops` at the end of every
`import torch` (entry point group `torch.backends`), also in the engine's own processes.
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
    """Declare torchvision's operators to a CPU build of PyTorch, unless torchvision declares them.

    Does nothing on a GPU build, or where torchvision is absent.
    """
    global _library
    if _library is not None or not _is_cpu_build():
        return
    native = _find_native_library()
    if native is None or _can_load(native):
        return
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        _library.define(schema)


def _is_cpu_build() -> bool:
    return torch.version.cuda is None and torch.version.hip is None


def _find_native_library() -> Path | None:
    spec = find_spec("torchvision")  # does not import it
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    candidates = (folder / f"_C{suffix}" for suffix in EXTENSION_SUFFIXES)
    return next((path for path in candidates if path.exists()), None)


def _can_load(native: Path) -> bool:
    """Whether the native library loads. Loads it, as torchvision is about to do."""
    try:
        torch.ops.load_library(native)
    except OSError:
        return False
    return True
