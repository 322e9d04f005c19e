"""Loads the vision weights of a checkpoint that also holds a language model."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from server.checkpoint.config import Checkpoint, CheckpointError
from server.images.vision.tower import VisionModel

# transformers 4 wrote `vision_tower.vision_model.…`, transformers 5 `model.vision_tower.…`.
VISION_WEIGHT_NAME: Final = re.compile(
    r"^(?:model\.)?(vision_tower\.|multi_modal_projector\.|image_newline$)(?:vision_model\.)?"
)


def load_vision_model(checkpoint: Checkpoint, device: torch.device) -> VisionModel:
    """Load tower and projector from a checkpoint, in its dtype.

    Reads only the vision tensors, so no second language model is ever in memory.
    Raises `CheckpointError` if one is missing or has another shape.
    """
    with torch.device("meta"):
        model = VisionModel(checkpoint.vision, checkpoint.image)
    expected = model.state_dict()
    tensors = {
        name: tensor.to(device, getattr(torch, checkpoint.dtype))
        for name, tensor in _read_tensors(checkpoint.path, set(expected))
    }
    missing = sorted(name for name in expected if name not in tensors)
    if missing:
        raise CheckpointError(f"{checkpoint.path} lacks weights of the vision side: {missing[0]}")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{checkpoint.path}: {name} is {tuple(tensor.shape)}, "
                f"the configuration wants {tuple(expected[name].shape)}"
            )
    model.load_state_dict(tensors, assign=True)
    return model.to(device).eval()


def stores_image_newline(path: Path) -> bool:
    """Whether a checkpoint's weights hold an `image_newline`. Raises `CheckpointError`."""
    return any(
        "image_newline" in map(_normalize_name, names) for _, names in _open_weight_files(path)
    )


def _read_tensors(path: Path, expected_names: set[str]) -> Iterator[tuple[str, Tensor]]:
    for weights, names in _open_weight_files(path):
        for name in names:
            if _normalize_name(name) in expected_names:
                yield _normalize_name(name), weights.get_tensor(name)


def _normalize_name(stored_name: str) -> str:
    return VISION_WEIGHT_NAME.sub(r"\1", stored_name)


def _open_weight_files(path: Path) -> Iterator[tuple[Any, list[str]]]:
    """Yield each open file that holds vision weights, and the names of its tensors."""
    for file in _find_weight_files(path):
        try:
            weights: Any = safe_open(file, framework="pt")
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}") from None
        with weights:
            yield weights, list(weights.keys())


def _find_weight_files(path: Path) -> list[Path]:
    index = path / "model.safetensors.index.json"
    if index.exists():
        weight_map: dict[str, str] = json.loads(index.read_bytes())["weight_map"]
        names = {file for name, file in weight_map.items() if VISION_WEIGHT_NAME.match(name)}
        return [path / name for name in sorted(names)]
    if not (path / "model.safetensors").exists():
        raise CheckpointError(f"{path} has no model.safetensors")
    return [path / "model.safetensors"]
