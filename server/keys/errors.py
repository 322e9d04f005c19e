"""The error of an unusable keys file."""

from collections.abc import Sequence
from pathlib import Path


class KeysFileError(Exception):
    """The file cannot be used; `faults` says why, each with its place."""

    def __init__(self, path: Path, faults: Sequence[str]) -> None:
        super().__init__("; ".join(f"{path}{fault}" for fault in faults))
        self.path = path
        self.faults = faults
