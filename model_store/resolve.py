"""What `--model` may be: a name in the store, a path, or a hub id that is pulled on first use."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model_store.errors import PullError, StoreError, UnknownModel
from model_store.hub import Hub
from model_store.manifest import read_manifest
from model_store.pull import pull
from model_store.store import find_model, is_name, user_store


@dataclass(frozen=True, slots=True)
class HubId:
    """`org/name`, or `org/name@revision`."""

    repo: str
    revision: str | None


def parse_hub_id(text: str) -> HubId | None:
    """Read a hub id; None where the text cannot be one. A bare name never goes to the hub."""
    repo, _, revision = text.partition("@")
    return HubId(repo, revision or None) if "/" in repo and is_name(repo) else None


def obtain_model(reference: str, on_pull: Callable[[str], None], hub: Hub | None = None) -> Path:
    """Return the folder of a model, pulling it where it is a hub id that the store lacks.

    `on_pull` is told what is pulled. With a revision the model in the store must be at it, else
    it is pulled; without one, whatever is in the store will do. Raises `UnknownModel`, `PullError`.
    """
    try:
        return find_model(reference)
    except UnknownModel as error:
        wanted = parse_hub_id(reference)
        if wanted is None or Path(reference).exists():
            raise
        if wanted.revision and _stored_revision(wanted.repo) == wanted.revision:
            return user_store() / wanted.repo
        on_pull(reference)
        return _pull(wanted, str(error), hub)


def _pull(wanted: HubId, not_found: str, hub: Hub | None) -> Path:
    try:
        return pull(wanted.repo, wanted.revision or "main", recheck=False, hub=hub).folder
    except PullError as error:
        raise PullError(f"{not_found}; {error}") from None


def _stored_revision(repo: str) -> str | None:
    try:
        return read_manifest(user_store() / repo).revision
    except StoreError:
        return None
