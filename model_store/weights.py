"""Recognises files of weights by their suffix."""

from pathlib import PurePosixPath
from typing import Final

SAFETENSORS: Final = ".safetensors"
# Loading one of these can run arbitrary code.
PICKLES: Final = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
# Copies for other frameworks, which this package never reads.
OTHER_FRAMEWORKS: Final = frozenset(
    {".gguf", ".h5", ".msgpack", ".onnx", ".onnx_data", ".ot", ".tflite"}
)


def is_safetensors(path: str) -> bool:
    """Whether a file holds weights in a format that cannot run code."""
    return PurePosixPath(path).suffix.lower() == SAFETENSORS


def is_pickle(path: str) -> bool:
    """Whether loading a file may run code."""
    return PurePosixPath(path).suffix.lower() in PICKLES


def is_other_framework(path: str) -> bool:
    """Whether a file holds weights for another framework."""
    return PurePosixPath(path).suffix.lower() in OTHER_FRAMEWORKS
