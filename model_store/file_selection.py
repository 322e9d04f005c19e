"""Which files of a repository are worth pulling, and safe."""

from model_store.errors import PickleRefused, PullError
from model_store.hub import HubFile, HubSnapshot
from model_store.manifest import MANIFEST, is_inside
from model_store.weights import is_foreign, is_pickle, is_safetensors


def choose(snapshot: HubSnapshot, *, allow_pickle: bool) -> list[HubFile]:
    """Return the files to pull: without git's own, and without weights of other frameworks.

    Pickles are left out where there are safetensors, and refused where there is nothing else
    (`PickleRefused`), unless they are allowed.
    """
    files = [file for file in snapshot.files if _is_wanted(file.path)]
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
            " if you trust its maker, pull again with --allow-pickle"
        )
    return [file for file in files if not is_pickle(file.path)]


def _is_wanted(path: str) -> bool:
    # A manifest in the repository would be about somebody else's store.
    return path not in (".gitattributes", ".gitignore", MANIFEST) and not is_foreign(path)
