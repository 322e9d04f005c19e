"""The check of a model's files before they are loaded."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from model_store.manifest import MANIFEST, write_manifest
from server.checkpoint.config import CheckpointError
from server.checkpoint.verification import verify_files


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model's folder with its manifest."""
    for name in ("config.json", "a.safetensors", "b.safetensors"):
        (tmp_path / name).write_text(name)
    write_manifest(tmp_path, source="test")
    return tmp_path


def test_a_sound_model_is_let_pass(model: Path) -> None:
    with capture_logs() as lines:
        verify_files(model)
    assert [(line["event"], line["model"]) for line in lines] == [("model verified", str(model))]


def test_each_wrong_file_is_named(model: Path) -> None:
    (model / "a.safetensors").write_text("B.safetensors")
    (model / "b.safetensors").unlink()
    (model / "c.safetensors").touch()
    with pytest.raises(CheckpointError) as caught:
        verify_files(model)
    message = str(caught.value)
    assert f"{model} is not as its manifest says: a.safetensors: SHA-256 is " in message
    assert "; b.safetensors: missing; c.safetensors: weights that manifest.json does not" in message


def test_a_model_without_manifest_is_let_pass_and_logged(model: Path) -> None:
    (model / MANIFEST).unlink()
    with capture_logs() as lines:
        verify_files(model)
    assert [line["event"] for line in lines] == ["model not verified: it has no manifest"]


def test_a_malformed_manifest_is_no_reason_to_trust(model: Path) -> None:
    (model / MANIFEST).write_text("{}")
    with pytest.raises(CheckpointError, match=r"cannot verify the model: .*manifest\.json: name"):
        verify_files(model)
