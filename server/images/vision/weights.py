"""The vision side's weights out of a checkpoint that also holds a language model."""

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
NAME: Final = re.compile(
    r"^(?:model\.)?(vision_tower\.|multi_modal_projector\.|image_newline$)(?:vision_model\.)?"
)


def load_vision_model(checkpoint: Checkpoint, device: torch.device) -> VisionModel:
    """Build tower and projector from a checkpoint, in its dtype.

    Reads only the vision side's tensors, so no second language model is ever in memory.
    Raises `CheckpointError` where one is missing or has another shape.
    """
    with torch.device("meta"):
        model = VisionModel(checkpoint.vision, checkpoint.image)
    wanted = model.state_dict()
    tensors = {
        name: tensor.to(device, getattr(torch, checkpoint.dtype))
        for name, tensor in _vision_tensors(checkpoint.path, set(wanted))
    }
    missing = sorted(name for name in wanted if name not in tensors)
    if missing:
        raise CheckpointError(f"{checkpoint.path} lacks weights of the vision side: {missing[0]}")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise CheckpointError(
                f"{checkpoint.path}: {name} is {tuple(tensor.shape)}, "
                f"the configuration wants {tuple(wanted[name].shape)}"
            )
    model.load_state_dict(tensors, assign=True)
    return model.to(device).eval()


def stores_image_newline(path: Path) -> bool:
    """Tell whether a checkpoint's weights hold an `image_newline`. Raises `CheckpointError`."""
    return any("image_newline" in map(_own_name, names) for _, names in _stored(path))


def _vision_tensors(path: Path, wanted: set[str]) -> Iterator[tuple[str, Tensor]]:
    for weights, names in _stored(path):
        for name in names:
            if _own_name(name) in wanted:
                yield _own_name(name), weights.get_tensor(name)


def _own_name(stored_name: str) -> str:
    return NAME.sub(r"\1", stored_name)


def _stored(path: Path) -> Iterator[tuple[Any, list[str]]]:
    """Open the files that hold weights of the vision side, one at a time, with their names."""
    for file in _weight_files(path):
        try:
            weights: Any = safe_open(file, framework="pt")
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}") from None
        with weights:
            yield weights, list(weights.keys())


def _weight_files(path: Path) -> list[Path]:
    index = path / "model.safetensors.index.json"
    if index.exists():
        weight_map: dict[str, str] = json.loads(index.read_bytes())["weight_map"]
        names = {file for name, file in weight_map.items() if NAME.match(name)}
        return [path / name for name in sorted(names)]
    if not (path / "model.safetensors").exists():
        raise CheckpointError(f"{path} has no model.safetensors")
    return [path / "model.safetensors"]
