"""What is read of adapters before they are loaded."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from server.checkpoint.adapters import read_lora_adapters
from server.checkpoint.config import CheckpointError

LAYER = "layers.0.self_attn.q_proj.lora_A.weight"


def write_adapter(folder: Path, name: str) -> Path:
    """Write an adapter with one weight."""
    (folder / "adapter_config.json").write_text(json.dumps({"r": 8}))
    save_file({name: np.zeros((8, 4), np.float32)}, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model."])
def test_names_of_either_transformers(prefix: str, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path, f"base_model.model.{prefix}{LAYER}")
    (adapter,) = read_lora_adapters({"red": folder}, "llava-tiny")
    assert (adapter.name, adapter.path, adapter.rank) == ("red", folder, 8)


def test_an_adapter_of_a_language_model_alone_is_told(tmp_path: Path) -> None:
    name = f"base_model.model.model.{LAYER}"
    with pytest.raises(CheckpointError, match=f"it has {name}, where names begin with"):
        read_lora_adapters({"red": write_adapter(tmp_path, name)})


def test_a_damaged_adapter_is_told(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path, f"base_model.model.language_model.model.{LAYER}")
    (folder / "adapter_model.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_lora_adapters({"red": folder})
