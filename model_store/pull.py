"""Pulls a repository from the hub into the user's store, verified, all of it or nothing."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

from model_store.errors import PullError
from model_store.file_selection import select_files
from model_store.hashing import Progress, compute_git_blob_id
from model_store.hub import Hub, HubFile, HubSnapshot
from model_store.manifest import MANIFEST, Manifest, ManifestFile, write_manifest
from model_store.progress import PullProgress, format_bytes, show_byte_progress
from model_store.pull_target import PullTarget
from model_store.store import is_name, locate_user_store
from model_store.verification import Fault, verify, verify_sizes

MAX_CONCURRENT_DOWNLOADS: Final = 4


@dataclass(frozen=True, slots=True)
class PullResult:
    """A model in the user's store. `downloaded` is false if it was there already."""

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
    progress: PullProgress | None = None,
) -> PullResult:
    """Pull `org/name` at a branch, tag or commit.

    If the model is installed at that revision, only damaged files are downloaded again. With
    `recheck`, all files are hashed to find them, else only their sizes are compared. An installed
    commit needs no hub. An interrupted pull resumes. `progress` counts its bytes. Raises
    `PullError`.
    """
    if not is_name(repo) or "/" not in repo:
        raise PullError(f"{repo!r} is not a hub id: those look like org/name")
    target = PullTarget(locate_user_store(), repo)
    with target.lock():
        installed = target.read_installed_manifest()
        is_pinned = installed and installed.revision == revision and not allow_pickle
        if installed and is_pinned and not _verify(target, installed, recheck):
            return PullResult(target.folder, installed, downloaded=False)
        hub = hub or Hub()
        snapshot = hub.fetch_snapshot(repo, revision)
        files = select_files(snapshot, allow_pickle=allow_pickle)
        if (
            installed
            and _is_complete(installed, snapshot, files)
            and not _verify(target, installed, recheck)
        ):
            return PullResult(target.folder, installed, downloaded=False)
        target.prepare_staging(snapshot.commit, (file.path for file in files))
        if installed:
            target.link_files(snapshot.commit, _find_reusable(target, installed, snapshot, files))
        manifest = _fetch(hub, target, snapshot, files, progress or PullProgress())
        return PullResult(target.folder, manifest, downloaded=True)


def _is_complete(installed: Manifest, snapshot: HubSnapshot, files: Sequence[HubFile]) -> bool:
    """Whether the manifest is of the snapshot's commit and lists all selected files."""
    listed = installed.paths.issuperset(file.path for file in files)
    return installed.revision == snapshot.commit and listed


def _verify(target: PullTarget, installed: Manifest, recheck: bool) -> list[Fault]:
    if not recheck:
        return verify_sizes(target.folder, installed)
    with show_byte_progress("verifying", installed.size) as progress:
        return verify(target.folder, progress)


def _find_reusable(
    target: PullTarget, installed: Manifest, snapshot: HubSnapshot, files: Sequence[HubFile]
) -> set[str]:
    """Return the paths of undamaged installed files that equal the snapshot's."""
    digests = {file.path: file.sha256 for file in installed.files}
    same = {
        file.path
        for file in files
        if file.path in digests
        if installed.revision == snapshot.commit or digests[file.path] == file.sha256
    }
    if not same:
        return same
    return same - {fault.path for fault in _verify(target, installed, recheck=True)}


def _fetch(
    hub: Hub,
    target: PullTarget,
    snapshot: HubSnapshot,
    files: Sequence[HubFile],
    progress: PullProgress,
) -> Manifest:
    folder = target.staging_folder(snapshot.commit)
    missing = [file for file in files if not (folder / file.path).exists()]
    total, needed = sum(file.size for file in files), _check_space(folder, missing)
    progress.start(total, total - needed)
    _download(hub, snapshot, missing, folder, progress.add)
    with show_byte_progress("verifying", total) as count:
        manifest = write_manifest(
            folder,
            source=target.source,
            revision=snapshot.commit,
            name=snapshot.repo,
            progress=count,
        )
    _check_downloads(snapshot.repo, folder, files, manifest)
    target.publish(snapshot.commit)
    return manifest


def _check_space(folder: Path, missing: Sequence[HubFile]) -> int:
    """Return the bytes to download. Raises `PullError` if the disk has no room for them."""
    parts = (folder / f"{file.path}.part" for file in missing)
    downloaded = sum(part.stat().st_size for part in parts if part.exists())
    needed = sum(file.size for file in missing) - downloaded
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise PullError(
            f"the download needs {format_bytes(needed)}, but only {format_bytes(free)} are free"
            f" at {folder}"
        )
    return needed


def _download(
    hub: Hub, snapshot: HubSnapshot, files: Sequence[HubFile], folder: Path, count: Progress
) -> None:
    """Download some files at a time. The first failure, or Ctrl-C, stops the others soon."""
    stop = Event()
    pool = ThreadPoolExecutor(MAX_CONCURRENT_DOWNLOADS, "pull")
    try:
        downloads = [
            pool.submit(hub.download, snapshot, file, folder / file.path, stop, count)
            for file in files
        ]
        for download in as_completed(downloads):
            download.result()
    except BaseException as error:
        stop.set()
        # After Ctrl-C, do not wait for a hanging network.
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    pool.shutdown()


def _check_downloads(repo: str, folder: Path, files: Sequence[HubFile], manifest: Manifest) -> None:
    """Compare the downloads with the hub's listing. Wrong files are deleted, to be pulled again.

    Raises `PullError`.
    """
    arrived = {file.path: file for file in manifest.files}
    wrong = [
        Fault(file.path, problem)
        for file in files
        if (problem := _compare(folder, file, arrived[file.path]))
    ]
    if not wrong:
        return
    for path in (*(fault.path for fault in wrong), MANIFEST):
        (folder / path).unlink(missing_ok=True)
    raise PullError(
        f"{repo}: the download differs from what the hub announced; {'; '.join(map(str, wrong))};"
        " pull again to repair it"
    )


def _compare(folder: Path, announced: HubFile, arrived: ManifestFile) -> str | None:
    if arrived.size != announced.size:
        return f"{arrived.size} bytes, not {announced.size}"
    if announced.sha256 is not None:
        name, came, due = "SHA-256", arrived.sha256, announced.sha256
    elif announced.blob_id is not None:
        name, came, due = (
            "git's hash",
            compute_git_blob_id(folder / announced.path),
            announced.blob_id,
        )
    else:
        return None
    return None if came == due else f"{name} is {came}, not {due}"
