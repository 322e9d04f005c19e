"""LoRA adapters over the checkpoint's language model, each served as a model of its own."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open

from server.checkpoint.config import CheckpointError

# PEFT's names of a LLaVA's language model in transformers 4 and 5.
_LANGUAGE_MODEL: Final = re.compile(r"base_model\.model\.(model\.)?language_model\.")


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
    for path in folders.values():
        _check_names(path)
    return [LoraAdapter(name, path, _read_rank(path)) for name, path in folders.items()]


def _check_names(path: Path) -> None:
    """Raise `CheckpointError` for weights that are none of a LLaVA's: the engine ignores them.

    Those of an adapter that was trained on the language model alone have such names.
    """
    file = path / "adapter_model.safetensors"
    if not file.is_file():
        return  # a pickle: its names are the engine's to read
    try:
        with safe_open(file, "numpy") as weights:
            names = list(weights.keys())
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from None
    if not any(map(_LANGUAGE_MODEL.match, names)):
        example = min(names, default="no weights")
        raise CheckpointError(
            f"{file} adapts no layer of a LLaVA's language model: it has {example}, where names"
            " begin with base_model.model.language_model."
        )


def _read_rank(path: Path) -> int:
    file = path / "adapter_config.json"
    try:
        rank = json.loads(file.read_text())["r"]
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"{file} is missing, or no PEFT configuration with a rank") from None
    if not isinstance(rank, int) or rank < 1:
        raise CheckpointError(f"{file} has no usable rank: {rank!r}")
    return rank
