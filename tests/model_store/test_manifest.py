"""Manifests: written, read, and compared with the files."""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from model_store.errors import InvalidManifest, NoManifest
from model_store.manifest import MANIFEST, read_manifest, write_manifest
from model_store.store import PACKAGED_STORE
from model_store.verification import Fault, verify, verify_sizes

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 100, "sub/a.txt": b""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a model's folder without a manifest."""
    for path, content in FILES.items():
        (tmp_path / "small" / path).parent.mkdir(exist_ok=True)
        (tmp_path / "small" / path).write_bytes(content)
    return tmp_path / "small"


def test_the_embedded_model_matches_its_manifest() -> None:
    """If this fails after a change to the folder: its manifest has to be written again."""
    folder = PACKAGED_STORE / "llava-tiny"
    assert verify(folder) == []
    manifest = read_manifest(folder)
    assert manifest.name == "llava-tiny"
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert manifest.paths == files - {MANIFEST}
    assert (manifest.conv_mode, manifest.image_aspect_ratio) == ("vicuna_v1", "pad")
    assert manifest.max_position_embeddings == 2048


def test_a_manifest_lists_every_file(folder: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    written = write_manifest(folder, source="test", revision="a" * 40)
    assert read_manifest(folder) == written
    assert (written.name, written.source, written.revision) == ("small", "test", "a" * 40)
    assert before <= written.created <= datetime.now(UTC)
    assert [(file.path, file.size, file.sha256) for file in written.files] == [
        (path, len(content), hashlib.sha256(content).hexdigest())
        for path, content in sorted(FILES.items())
    ]
    assert verify(folder) == []
    again = write_manifest(folder, source="test", revision="a" * 40, name="org/small")
    assert (again.name, again.files) == ("org/small", written.files)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, (None, None, None)),
        ({"max_position_embeddings": 4096}, (None, None, 4096)),  # a released layout
        ({"conv_mode": "plain", "text_config": {"max_position_embeddings": 8}}, ("plain", None, 8)),
        ({"text_config": {}, "image_aspect_ratio": "anyres"}, (None, "anyres", None)),
        ({"conv_mode": 3, "image_aspect_ratio": None, "text_config": None}, (None, None, None)),
        ([], (None, None, None)),
    ],
)
def test_the_manifest_repeats_config_json(
    config: Any, expected: tuple[Any, ...], folder: Path
) -> None:
    (folder / "config.json").write_text(json.dumps(config))
    manifest = write_manifest(folder, source="test")
    assert (
        manifest.conv_mode,
        manifest.image_aspect_ratio,
        manifest.max_position_embeddings,
    ) == expected


def test_hashing_counts_every_byte(folder: Path) -> None:
    write_manifest(folder, source="test")
    read: list[int] = []
    assert verify(folder, read.append) == []
    assert sum(read) == sum(map(len, FILES.values()))


def test_a_flipped_bit_is_found(folder: Path) -> None:
    write_manifest(folder, source="test")
    content = bytearray(FILES["model.safetensors"])
    content[350] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    assert verify_sizes(folder, read_manifest(folder)) == []
    expected = hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    found = hashlib.sha256(content).hexdigest()
    assert verify(folder) == [Fault("model.safetensors", f"SHA-256 is {found}, not {expected}")]


def test_other_faults(folder: Path) -> None:
    write_manifest(folder, source="test")
    (folder / "sub" / "a.txt").write_bytes(b"x")
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    (folder / "model-2.SAFETENSORS").touch()
    (folder / "sub" / "evil.pt").touch()
    (folder / "notes.md").touch()
    unlisted = "weights that manifest.json does not list"
    faults = [
        Fault("config.json", "missing"),
        Fault("model-2.SAFETENSORS", unlisted),
        Fault("sub/a.txt", "has 1 bytes, not 0"),
        Fault("sub/evil.pt", unlisted),
    ]
    assert verify(folder) == faults
    assert sorted(map(str, verify_sizes(folder, read_manifest(folder)))) == [*map(str, faults)]


def test_a_dangling_link_is_missing(folder: Path) -> None:
    write_manifest(folder, source="test")
    (folder / "model.safetensors").unlink()
    os.symlink("nowhere", folder / "model.safetensors")
    assert verify(folder) == [Fault("model.safetensors", "missing")]


def test_a_model_without_manifest(folder: Path) -> None:
    with pytest.raises(NoManifest, match=r"small has no manifest\.json"):
        verify(folder)


def write_changed_manifest(folder: Path, **changes: Any) -> None:
    """Write a manifest and change some of its keys (`...`: left out)."""
    write_manifest(folder, source="test")
    content = json.loads((folder / MANIFEST).read_text()) | changes
    content = {key: value for key, value in content.items() if value is not ...}
    (folder / MANIFEST).write_text(json.dumps(content))


HASH = "0" * 64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"manifest_version": 2}, "manifest_version: Input should be 1"),
        ({"source": ...}, "source: Field required"),
        ({"source": 1}, "source: Input should be a valid string"),
        ({"extra": 1}, "extra: Extra inputs"),
        ({"files": [{"path": "a", "size": "1", "sha256": HASH}]}, r"files\.0\.size"),
        ({"files": [{"path": "a", "size": -1, "sha256": HASH}]}, r"files\.0\.size"),
        ({"files": [{"path": "a", "size": 1, "sha256": "0"}]}, r"files\.0\.sha256"),
        ({"files": [{"path": "a", "size": 1, "sha256": HASH}] * 2}, "listed twice"),
        *(
            ({"files": [{"path": path, "size": 1, "sha256": HASH}]}, "cannot be a model's file")
            for path in ("../a", "/etc/passwd", "a/../../b", "", ".", "a//b", "./a", MANIFEST)
        ),
    ],
)
def test_invalid_manifests_are_refused(changes: dict[str, Any], message: str, folder: Path) -> None:
    write_changed_manifest(folder, **changes)
    with pytest.raises(InvalidManifest, match=rf"small/manifest\.json: .*{message}") as caught:
        verify(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"files": 1}', "\xff"])
def test_a_file_that_is_no_manifest(content: str, folder: Path) -> None:
    (folder / MANIFEST).write_text(content, encoding="latin-1")
    with pytest.raises(InvalidManifest, match=r"manifest\.json: "):
        read_manifest(folder)
