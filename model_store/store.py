"""Finds the folder of a model by its name in the store or by its path."""

from pathlib import Path
from typing import Final

STORE: Final = Path(__file__).parent


class UnknownModel(Exception):
    """There is no model of that name or at that path; the message says where was looked."""


def find_model(name: str) -> Path:
    """Return a checkpoint's folder: `name` in the store, else `name` as a path.

    Raises `UnknownModel`.
    """
    for folder in (STORE / name, Path(name)):
        if (folder / "config.json").is_file():
            return folder.resolve()
    raise UnknownModel(f"no model {name!r}: neither in the store ({STORE}) nor a checkpoint's path")
