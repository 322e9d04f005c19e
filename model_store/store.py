"""Finds models by name in the user's store and the packaged one, or by path."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model_store.errors import UnknownModel

# The models that come with this package. It is never written to.
PACKAGED_STORE: Final = Path(__file__).parent

_WORD: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_NAME: Final = re.compile(rf"{_WORD}(/{_WORD})?")


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model's name in the store and its folder."""

    name: str
    folder: Path


def locate_user_store() -> Path:
    """Return the user's store: `LLAVA_STORE`, or a folder below the user's data directory."""
    if store := os.environ.get("LLAVA_STORE"):
        return Path(store).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "llava-server" / "models"


def is_name(text: str) -> bool:
    """Whether a text is a model's name: `name` or `org/name`, which cannot leave the store."""
    return _NAME.fullmatch(text) is not None and ".." not in text


def find_model(name: str) -> Path:
    """Return a checkpoint's folder: `name` in the user's store, in the packaged one, or as a path.

    Raises `UnknownModel`.
    """
    stores = [locate_user_store(), PACKAGED_STORE]
    named = [store / name for store in stores] if is_name(name) else []
    for folder in (*named, Path(name)):
        if _is_model_folder(folder):
            return folder.resolve()
    raise UnknownModel(
        f"no model {name!r}: it is not in the store ({', '.join(map(str, stores))})"
        " and not a checkpoint's path"
    )


def find_in_user_store(name: str) -> Path | None:
    """Return the folder of the model of this name in the user's store, or None."""
    folder = locate_user_store() / name
    return folder if is_name(name) and _is_model_folder(folder) else None


def list_stored_models() -> list[StoredModel]:
    """Return all models of both stores; a user's model hides a packaged one of the same name."""
    found = {
        model.name: model
        for store in (PACKAGED_STORE, locate_user_store())
        for model in _find_models(store)
    }
    return [found[name] for name in sorted(found)]


def _find_models(store: Path) -> Iterator[StoredModel]:
    for folder in (*store.glob("*/"), *store.glob("*/*/")):
        name = folder.relative_to(store).as_posix()
        if is_name(name) and _is_model_folder(folder):
            yield StoredModel(name, folder)


def _is_model_folder(folder: Path) -> bool:
    return (folder / "config.json").is_file()
