"""The folders of a pull: the model's in the store, and a hidden staging folder until the end."""

import fcntl
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_store.errors import InvalidManifest, NoManifest, PullError
from model_store.manifest import MANIFEST, Manifest, list_files, read_manifest


class PullTarget:
    """The folder of one repository in a store, and hidden files beside it."""

    def __init__(self, store: Path, repo: str) -> None:
        self.folder = store / repo
        self.source = f"hub:{repo}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the repository's lock among processes; waits for another process's pull."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self._hidden_path("lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"another process is pulling {self.source}: waiting", file=sys.stderr)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read_installed_manifest(self) -> Manifest | None:
        """Return the manifest of an earlier pull. Raises `PullError` for any other content."""
        if not self.folder.exists():
            return None
        try:
            manifest = read_manifest(self.folder)
        except (NoManifest, InvalidManifest) as error:
            raise PullError(f"{error}; move it away to pull it again") from None
        if manifest.source != self.source:
            raise PullError(
                f"{self.folder} holds a model from another source ({manifest.source}):"
                " move it away first"
            )
        return manifest

    def staging_folder(self, commit: str) -> Path:
        """Return the folder that a commit's files are downloaded to."""
        return self._hidden_path(f"{commit[:12]}.partial")

    def prepare_staging(self, commit: str, paths: Iterable[str]) -> None:
        """Make the staging folder; delete all of its files but `paths` and their `.part` files."""
        folder = self.staging_folder(commit)
        folder.mkdir(exist_ok=True)
        keep = {name for path in paths for name in (path, f"{path}.part")}
        for path in (*list_files(folder), MANIFEST):
            if path not in keep:
                (folder / path).unlink(missing_ok=True)

    def link_files(self, commit: str, paths: Iterable[str]) -> None:
        """Hard-link files of the installed model into the staging folder, to save downloads."""
        for path in paths:
            target = self.staging_folder(commit) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # the file exists, or the file system has no links: download it
                target.hardlink_to(self.folder / path)

    def publish(self, commit: str) -> None:
        """Rename the complete staging folder to the model's folder."""
        old = self._hidden_path("old")
        shutil.rmtree(old, ignore_errors=True)
        with suppress(FileNotFoundError):
            self.folder.rename(old)
        self.staging_folder(commit).rename(self.folder)
        for leftover in (old, *self.folder.parent.glob(f".{self.folder.name}.*.partial")):
            shutil.rmtree(leftover, ignore_errors=True)

    def _hidden_path(self, ending: str) -> Path:
        """Return a sibling path that no model can have: it begins with a dot."""
        return self.folder.with_name(f".{self.folder.name}.{ending}")
