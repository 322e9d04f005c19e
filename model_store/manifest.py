"""The manifest of a model: its origin, and the size and hash of each of its files."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model_store.errors import InvalidManifest, NoManifest
from model_store.hashing import Progress, hash_files

MANIFEST: Final = "manifest.json"


class _StrictModel(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class ManifestFile(_StrictModel):
    """One file: its path below the model's folder, with slashes, its size in bytes, its SHA-256."""

    path: str
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(_StrictModel):
    """The content of `manifest.json`.

    `source` is the model's origin: `hub:org/name`, the converted release, or the recipe.
    `revision` is the commit that a hub repository was pulled at. `conv_mode`,
    `image_aspect_ratio` and `max_position_embeddings` repeat config.json, null where it has none.
    """

    manifest_version: Literal[1] = 1
    name: str
    source: str
    revision: str | None
    created: datetime
    conv_mode: str | None
    image_aspect_ratio: str | None
    max_position_embeddings: int | None
    files: tuple[ManifestFile, ...]

    @model_validator(mode="after")
    def _check_paths(self) -> Self:
        for file in self.files:
            if not is_inside(file.path) or file.path == MANIFEST:
                raise ValueError(f"{file.path!r} cannot be a model's file")
        if len(self.paths) < len(self.files):
            raise ValueError("a path is listed twice")
        return self

    @property
    def paths(self) -> frozenset[str]:
        """The paths of all files."""
        return frozenset(file.path for file in self.files)

    @property
    def size(self) -> int:
        """The total size of all files, in bytes."""
        return sum(file.size for file in self.files)


def is_inside(path: str) -> bool:
    """Whether a path is relative, normalised, and inside its folder."""
    parts = PurePosixPath(path).parts
    return (
        bool(parts) and ".." not in parts and not path.startswith("/") and "/".join(parts) == path
    )


def write_manifest(
    folder: Path,
    *,
    source: str,
    revision: str | None = None,
    name: str | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Hash every file below `folder` and write its manifest atomically.

    `name` is the model's name in the store, by default the folder's.
    """
    manifest = build_manifest(
        folder, source=source, revision=revision, name=name, progress=progress
    )
    part = folder / f".{MANIFEST}.part"
    part.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    part.replace(folder / MANIFEST)
    return manifest


def build_manifest(
    folder: Path,
    *,
    source: str,
    revision: str | None = None,
    name: str | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Return the manifest that `write_manifest` would write."""
    paths = list_files(folder)
    digests = hash_files(folder, paths, progress)
    config = read_config(folder)
    return Manifest(
        name=name or folder.resolve().name,
        source=source,
        revision=revision,
        created=datetime.now(UTC).replace(microsecond=0),
        conv_mode=_read_text(config, "conv_mode"),
        image_aspect_ratio=_read_text(config, "image_aspect_ratio"),
        max_position_embeddings=_read_context_length(config),
        files=tuple(
            ManifestFile(path=path, size=(folder / path).stat().st_size, sha256=digests[path])
            for path in paths
        ),
    )


def read_manifest(folder: Path) -> Manifest:
    """Read a model's manifest. Raises `NoManifest`, `InvalidManifest`."""
    try:
        content = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise NoManifest(f"{folder} has no {MANIFEST}: its files cannot be checked") from None
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidManifest(
            f"{folder / MANIFEST}: {where and f'{where}: '}{first['msg']}"
        ) from None


def read_config(folder: Path) -> Mapping[str, Any]:
    """Return a model's config.json, or an empty mapping where it is missing or malformed."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def list_files(folder: Path) -> list[str]:
    """Return the sorted paths of all files below a folder, except its manifest."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(path for path in paths if path not in (MANIFEST, f".{MANIFEST}.part"))


def _read_context_length(config: Mapping[str, Any]) -> int | None:
    """Return the context length. The Hugging Face layout has it in `text_config`."""
    text_config = config.get("text_config")
    source = text_config if isinstance(text_config, dict) else config
    length = source.get("max_position_embeddings")
    return length if isinstance(length, int) else None


def _read_text(config: Mapping[str, Any], key: str) -> str | None:
    value = config.get(key)
    return value if isinstance(value, str) else None
