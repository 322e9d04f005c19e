"""Selects the files of a repository to pull: no pickles, no other frameworks' weights."""

from model_store.errors import PickleRefused, PullError
from model_store.hub import HubFile, HubSnapshot
from model_store.manifest import MANIFEST, is_inside
from model_store.weights import is_other_framework, is_pickle, is_safetensors


def select_files(snapshot: HubSnapshot, *, allow_pickle: bool) -> list[HubFile]:
    """Return the files to pull: all but git's own and weights for other frameworks.

    Unless `allow_pickle`, pickles are skipped if there are safetensors, and refused otherwise.
    Raises `PickleRefused`, or `PullError` for a path outside of the folder.
    """
    files = [file for file in snapshot.files if _is_selected(file.path)]
    for file in files:
        if not is_inside(file.path):
            raise PullError(f"{snapshot.repo} lists {file.path!r}, which leaves the model's folder")
    pickles = [file for file in files if is_pickle(file.path)]
    if not pickles or allow_pickle:
        return files
    if not any(is_safetensors(file.path) for file in files):
        raise PickleRefused(
            f"{snapshot.repo} has its weights as pickles only, and loading a pickle can run code:"
            f" {', '.join(file.path for file in pickles)};"
            " if you trust its author, pull again with --allow-pickle"
        )
    return [file for file in files if not is_pickle(file.path)]


def _is_selected(path: str) -> bool:
    # A manifest in the repository would describe somebody else's store.
    return path not in (".gitattributes", ".gitignore", MANIFEST) and not is_other_framework(path)
