"""Which files hold weights, by their names' ends."""

from pathlib import PurePosixPath
from typing import Final

SAFETENSORS: Final = ".safetensors"
# Loading one of these can run whatever code its maker put in.
PICKLES: Final = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
# Copies for other frameworks, which nothing here reads.
FOREIGN: Final = frozenset({".h5", ".msgpack", ".onnx", ".ot", ".tflite"})


def is_safetensors(path: str) -> bool:
    """Tell whether a file holds weights that are only data."""
    return PurePosixPath(path).suffix.lower() == SAFETENSORS


def is_pickle(path: str) -> bool:
    """Tell whether a file may run code when it is loaded."""
    return PurePosixPath(path).suffix.lower() in PICKLES


def is_foreign(path: str) -> bool:
    """Tell whether a file holds weights for another framework."""
    return PurePosixPath(path).suffix.lower() in FOREIGN
