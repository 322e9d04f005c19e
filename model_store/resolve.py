"""Resolves `--model`: a name in the store, a path, or a hub id that is pulled on first use."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model_store.errors import PullError, StoreError, UnknownModel
from model_store.hub import Hub
from model_store.manifest import read_manifest
from model_store.progress import PullProgress
from model_store.pull import pull
from model_store.store import find_model, is_name, locate_user_store


@dataclass(frozen=True, slots=True)
class HubId:
    """`org/name`, or `org/name@revision`."""

    repo: str
    revision: str | None


def parse_hub_id(text: str) -> HubId | None:
    """Parse a hub id; None if it is not one. A name without a slash never goes to the hub."""
    repo, _, revision = text.partition("@")
    return HubId(repo, revision or None) if "/" in repo and is_name(repo) else None


def find_stored_model(reference: str) -> Path:
    """Return the folder of a model that needs no pull. Raises `UnknownModel`."""
    hub_id = parse_hub_id(reference)
    if hub_id and hub_id.revision and _stored_revision(hub_id.repo) == hub_id.revision:
        return locate_user_store() / hub_id.repo
    return find_model(reference)


def resolve_model(
    reference: str,
    on_pull: Callable[[str], None],
    hub: Hub | None = None,
    progress: PullProgress | None = None,
) -> Path:
    """Return the folder of a model, and pull it first if it is a hub id that the store lacks.

    `on_pull` is called with the reference before a pull; `progress` counts its bytes. With a
    revision, a model stored at another one is pulled again; without one, any stored revision is
    used. Raises `UnknownModel`, `PullError`.
    """
    try:
        return find_stored_model(reference)
    except UnknownModel as error:
        hub_id = parse_hub_id(reference)
        if hub_id is None or Path(reference).exists():
            raise
        on_pull(reference)
        return _pull(hub_id, str(error), hub, progress)


def _pull(hub_id: HubId, not_found: str, hub: Hub | None, progress: PullProgress | None) -> Path:
    revision = hub_id.revision or "main"
    try:
        return pull(hub_id.repo, revision, recheck=False, hub=hub, progress=progress).folder
    except PullError as error:
        raise PullError(f"{not_found}; {error}") from None


def _stored_revision(repo: str) -> str | None:
    try:
        return read_manifest(locate_user_store() / repo).revision
    except StoreError:
        return None
