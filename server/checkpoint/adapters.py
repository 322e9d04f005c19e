"""LoRA adapters over the checkpoint's language model, each served as a model of its own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.checkpoint.config import CheckpointError


@dataclass(frozen=True, slots=True)
class LoraAdapter:
    """A PEFT folder, the model name that clients use for it, and its rank."""

    name: str
    path: Path
    rank: int


def read_lora_adapters(folders: Mapping[str, Path], *model_names: str) -> Sequence[LoraAdapter]:
    """Read the configurations of the adapters' folders. Raises `CheckpointError`."""
    for name in model_names:
        if name in folders:
            raise CheckpointError(f"the adapter {name!r} is named as the model itself")
    return [LoraAdapter(name, path, _read_rank(path)) for name, path in folders.items()]


def _read_rank(path: Path) -> int:
    file = path / "adapter_config.json"
    try:
        rank = json.loads(file.read_text())["r"]
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"{file} is missing, or no PEFT configuration with a rank") from None
    if not isinstance(rank, int) or rank < 1:
        raise CheckpointError(f"{file} has no usable rank: {rank!r}")
    return rank
