"""Brings a repository of the hub into the user's store: whole and verified, or not at all."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

from model_store.errors import PullError
from model_store.file_selection import choose
from model_store.hashing import git_blob_id
from model_store.hub import Hub, HubFile, HubSnapshot
from model_store.manifest import MANIFEST, Manifest, ManifestFile, write_manifest
from model_store.progress import byte_bar, readable
from model_store.pull_target import Place
from model_store.store import is_name, user_store
from model_store.verification import Fault, verify, verify_quickly

DOWNLOADS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model in the user's store; `downloaded` tells whether anything had to come."""

    folder: Path
    manifest: Manifest
    downloaded: bool


def pull(
    repo: str,
    revision: str = "main",
    *,
    allow_pickle: bool = False,
    recheck: bool = True,
    hub: Hub | None = None,
) -> Pulled:
    """Pull `org/name` at a branch, tag or commit.

    What is there at that revision stays; only its damaged files come again. With `recheck` its
    files are read to find those, else their sizes must do. A commit that is there needs no hub.
    A pull that was cut off goes on where it was. Raises `PullError`.
    """
    if not is_name(repo) or "/" not in repo:
        raise PullError(f"{repo!r} is not a hub id: those look like org/name")
    place = Place(user_store(), repo)
    with place.locked():
        known = place.manifest()
        pinned = known and known.revision == revision and not allow_pickle
        if known and pinned and not _faults(place, known, recheck):
            return Pulled(place.folder, known, downloaded=False)
        hub = hub or Hub()
        snapshot = hub.snapshot(repo, revision)
        files = choose(snapshot, allow_pickle=allow_pickle)
        if known and _covers(known, snapshot, files) and not _faults(place, known, recheck):
            return Pulled(place.folder, known, downloaded=False)
        place.clear(snapshot.commit, (file.path for file in files))
        if known:
            place.reuse(snapshot.commit, _reusable(place, known, snapshot, files))
        return Pulled(place.folder, _fetch(hub, place, snapshot, files), downloaded=True)


def _covers(known: Manifest, snapshot: HubSnapshot, files: Sequence[HubFile]) -> bool:
    """Tell whether the manifest is of that commit and lists all that is wanted."""
    listed = known.paths.issuperset(file.path for file in files)
    return known.revision == snapshot.commit and listed


def _faults(place: Place, known: Manifest, recheck: bool) -> list[Fault]:
    if not recheck:
        return verify_quickly(place.folder, known)
    with byte_bar("verifying", known.size) as progress:
        return verify(place.folder, progress)


def _reusable(
    place: Place, known: Manifest, snapshot: HubSnapshot, files: Sequence[HubFile]
) -> set[str]:
    """Return the sound files of the model that is there which the snapshot has just so."""
    digests = {file.path: file.sha256 for file in known.files}
    here = [file for file in files if file.path in digests]
    same = {
        file.path
        for file in here
        if known.revision == snapshot.commit or digests[file.path] == file.sha256
    }
    if not same:
        return same
    return same - {fault.path for fault in _faults(place, known, recheck=True)}


def _fetch(hub: Hub, place: Place, snapshot: HubSnapshot, files: Sequence[HubFile]) -> Manifest:
    folder = place.partial(snapshot.commit)
    missing = [file for file in files if not (folder / file.path).exists()]
    _check_space(folder, missing)
    _download(hub, snapshot, missing, folder)
    with byte_bar("verifying", sum(file.size for file in files)) as progress:
        manifest = write_manifest(
            folder,
            source=place.source,
            revision=snapshot.commit,
            name=snapshot.repo,
            progress=progress,
        )
    _check_arrived(snapshot.repo, folder, files, manifest)
    place.publish(snapshot.commit)
    return manifest


def _check_space(folder: Path, missing: Sequence[HubFile]) -> None:
    parts = (folder / f"{file.path}.part" for file in missing)
    here = sum(part.stat().st_size for part in parts if part.exists())
    needed = sum(file.size for file in missing) - here
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise PullError(
            f"{readable(needed)} are to come, but {readable(free)} are free at {folder}"
        )


def _download(hub: Hub, snapshot: HubSnapshot, files: Sequence[HubFile], folder: Path) -> None:
    """Download some files at a time; the first failure or Ctrl-C stops the others soon."""
    stop = Event()
    pool = ThreadPoolExecutor(DOWNLOADS_AT_ONCE, "pull")
    try:
        downloads = [
            pool.submit(hub.download, snapshot, file, folder / file.path, stop) for file in files
        ]
        for download in as_completed(downloads):
            download.result()
    except BaseException as error:
        stop.set()
        # Whoever presses Ctrl-C does not wait for a network that hangs.
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    pool.shutdown()


def _check_arrived(repo: str, folder: Path, files: Sequence[HubFile], manifest: Manifest) -> None:
    """Compare what came with what the hub announced; what is wrong is deleted, to come again."""
    arrived = {file.path: file for file in manifest.files}
    wrong = [
        Fault(file.path, problem)
        for file in files
        if (problem := _difference(folder, file, arrived[file.path]))
    ]
    if not wrong:
        return
    for path in (*(fault.path for fault in wrong), MANIFEST):
        (folder / path).unlink(missing_ok=True)
    raise PullError(
        f"{repo}: what came is not what the hub announced; {'; '.join(map(str, wrong))};"
        " pull again to fetch it anew"
    )


def _difference(folder: Path, announced: HubFile, arrived: ManifestFile) -> str | None:
    if arrived.size != announced.size:
        return f"{arrived.size} bytes, not {announced.size}"
    if announced.sha256 is not None:
        name, came, due = "SHA-256", arrived.sha256, announced.sha256
    elif announced.blob_id is not None:
        name, came, due = "git's hash", git_blob_id(folder / announced.path), announced.blob_id
    else:
        return None
    return None if came == due else f"{name} is {came}, not {due}"
