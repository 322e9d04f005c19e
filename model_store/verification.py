"""Compares a model's files with its manifest."""

from dataclasses import dataclass
from pathlib import Path

from model_store.hashing import Progress, hash_files
from model_store.manifest import MANIFEST, Manifest, ManifestFile, list_files, read_manifest
from model_store.weights import is_pickle, is_safetensors


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that differs from the manifest, and how."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def verify(folder: Path, progress: Progress | None = None) -> list[Fault]:
    """Hash every file of a model and return the differences from its manifest.

    Weights that the manifest does not list are faults too: a loader might load them.
    Raises `NoManifest`, `InvalidManifest`.
    """
    manifest = read_manifest(folder)
    faults = verify_sizes(folder, manifest)
    faulty = {fault.path for fault in faults}
    unread = [file for file in manifest.files if file.path not in faulty]
    return sorted([*faults, *_check_hashes(folder, unread, progress)], key=lambda fault: fault.path)


def verify_sizes(folder: Path, manifest: Manifest) -> list[Fault]:
    """Return the faults found without reading: files missing, of another size, or not listed."""
    faults = [fault for file in manifest.files if (fault := _check_size(folder, file))]
    unlisted = (path for path in list_files(folder) if path not in manifest.paths)
    return faults + [
        Fault(path, f"weights that {MANIFEST} does not list")
        for path in unlisted
        if is_safetensors(path) or is_pickle(path)
    ]


def _check_size(folder: Path, file: ManifestFile) -> Fault | None:
    path = folder / file.path
    if not path.is_file():
        return Fault(file.path, "missing")
    if (size := path.stat().st_size) != file.size:
        return Fault(file.path, f"has {size} bytes, not {file.size}")
    return None


def _check_hashes(
    folder: Path, files: list[ManifestFile], progress: Progress | None
) -> list[Fault]:
    digests = hash_files(folder, [file.path for file in files], progress)
    return [
        Fault(file.path, f"SHA-256 is {digests[file.path]}, not {file.sha256}")
        for file in files
        if digests[file.path] != file.sha256
    ]
