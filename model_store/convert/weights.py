"""Tensors in weight files: name and shape are read at once, each tensor on demand."""

import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model_store.convert.json_file import read_json
from model_store.errors import ConversionError

# safetensors first: where a folder has both, they hold the same weights.
_STEMS: Final = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that `load` reads or computes on demand; `origin` is its file."""

    shape: tuple[int, ...]
    origin: Path
    load: Callable[[], Tensor]


Weights = dict[str, Weight]


def list_weight_files(folder: Path) -> list[Path]:
    """Return the files of a model's weights, one or several shards; empty if it has none.

    Raises `ConversionError` where the index names a shard that is missing.
    """
    for stem in _STEMS:
        index = folder / f"{stem}.index.json"
        if index.is_file():
            return _read_index(index)
        if (folder / stem).is_file():
            return [folder / stem]
    return []


def read_folder(folder: Path) -> Weights:
    """Return all weights of a folder by name. Raises `ConversionError`."""
    files = list_weight_files(folder)
    if not files:
        raise ConversionError(
            f"{folder} has no weights: neither {' nor '.join(_STEMS)}, nor an index of shards"
        )
    weights: Weights = {}
    for file in files:
        weights |= read_file(file)
    return weights


def read_file(file: Path) -> Weights:
    """Return the weights of one file by name, without loading them.

    Pickles are read with `weights_only`: one that holds more than tensors is refused, and none of
    its code runs. Raises `ConversionError`.
    """
    return _read_safetensors(file) if file.suffix == ".safetensors" else _read_pickle(file)


def _read_index(index: Path) -> list[Path]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ConversionError(f"{index} has no weight_map")
    files = [
        index.with_name(Path(name).name) for name in sorted(set(map(str, weight_map.values())))
    ]
    for file in files:
        if not file.is_file():
            raise ConversionError(f"{index.parent} lacks the shard {file.name}")
    return files


def _read_safetensors(file: Path) -> Weights:
    try:
        content: Any = safe_open(file, framework="pt")
    except (OSError, SafetensorError) as error:
        raise ConversionError(f"{file} cannot be read: {error}") from None
    return {
        name: Weight(
            tuple(content.get_slice(name).get_shape()), file, partial(content.get_tensor, name)
        )
        for name in content.keys()  # noqa: SIM118 - not a dict
    }


def _read_pickle(file: Path) -> Weights:
    try:
        # Only the zip format of torch >= 1.6 can be mapped; older files are read completely.
        mapped = zipfile.is_zipfile(file)
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError:
        raise ConversionError(
            f"{file} holds more than tensors, or is not a checkpoint at all: refused"
        ) from None
    except Exception as error:  # a damaged file may end the unpickler in any way
        reason = str(error).partition("\n")[0]
        raise ConversionError(f"{file} cannot be read: {reason}") from None
    if not isinstance(content, dict):
        raise ConversionError(f"{file} does not hold tensors by name")
    return {str(name): _build_weight(file, str(name), tensor) for name, tensor in content.items()}


def _build_weight(file: Path, name: str, tensor: object) -> Weight:
    if not isinstance(tensor, Tensor):
        raise ConversionError(f"{file}: {name} is not a tensor")
    return Weight(tuple(tensor.shape), file, lambda: tensor)
