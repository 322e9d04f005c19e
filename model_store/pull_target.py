"""Where a pulled model goes: its folder in the store, and a hidden one until it is whole."""

import fcntl
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_store.errors import InvalidManifest, NoManifest, PullError
from model_store.manifest import MANIFEST, Manifest, files_below, read_manifest


class Place:
    """The place of one repository in a store."""

    def __init__(self, store: Path, repo: str) -> None:
        self.folder = store / repo
        self.source = f"hub:{repo}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from pulling the same repository meanwhile; waits for them first."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self._hidden("lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"another process is pulling {self.source}: waiting", file=sys.stderr)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def manifest(self) -> Manifest | None:
        """Return what was pulled before. Raises `PullError` where something else is in the way."""
        if not self.folder.exists():
            return None
        try:
            manifest = read_manifest(self.folder)
        except (NoManifest, InvalidManifest) as error:
            raise PullError(f"{error}; move it away to pull it again") from None
        if manifest.source != self.source:
            raise PullError(
                f"{self.folder} holds a model from elsewhere ({manifest.source}):"
                " move it away first"
            )
        return manifest

    def partial(self, commit: str) -> Path:
        """Return the folder where a commit's files gather."""
        return self._hidden(f"{commit[:12]}.partial")

    def clear(self, commit: str, wanted: Iterable[str]) -> None:
        """Make the partial folder; delete what in it is neither wanted nor part of a download."""
        folder = self.partial(commit)
        folder.mkdir(exist_ok=True)
        keep = {name for path in wanted for name in (path, f"{path}.part")}
        for path in (*files_below(folder), MANIFEST):
            if path not in keep:
                (folder / path).unlink(missing_ok=True)

    def reuse(self, commit: str, paths: Iterable[str]) -> None:
        """Link files of the model that is there into the partial folder, which then lacks less."""
        for path in paths:
            target = self.partial(commit) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # it is there, or the file system has no links: it may come
                target.hardlink_to(self.folder / path)

    def publish(self, commit: str) -> None:
        """Put the partial folder, now whole, where the model is looked for."""
        old = self._hidden("old")
        shutil.rmtree(old, ignore_errors=True)
        with suppress(FileNotFoundError):
            self.folder.rename(old)
        self.partial(commit).rename(self.folder)
        for leftover in (old, *self.folder.parent.glob(f".{self.folder.name}.*.partial")):
            shutil.rmtree(leftover, ignore_errors=True)

    def _hidden(self, ending: str) -> Path:
        """A name beside the folder that no model can have, since it begins with a dot."""
        return self.folder.with_name(f".{self.folder.name}.{ending}")
