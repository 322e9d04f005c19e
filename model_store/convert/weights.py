"""Tensors in weight files: known by name and shape at once, read one by one when wanted."""

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

# safetensors first: where a folder has both, they are the same weights.
_STEMS: Final = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that is read or computed when it is wanted; `origin` is the file it comes from."""

    shape: tuple[int, ...]
    origin: Path
    load: Callable[[], Tensor]


Weights = dict[str, Weight]


def weight_files(folder: Path) -> list[Path]:
    """Return the files of a model's weights, in one piece or in shards; none if it has none.

    Raises `ConversionError` where the index names a shard that is not there.
    """
    for stem in _STEMS:
        index = folder / f"{stem}.index.json"
        if index.is_file():
            return _indexed(index)
        if (folder / stem).is_file():
            return [folder / stem]
    return []


def read_folder(folder: Path) -> Weights:
    """Return all weights of a folder by name. Raises `ConversionError`."""
    files = weight_files(folder)
    if not files:
        raise ConversionError(
            f"{folder} has no weights: neither {' nor '.join(_STEMS)}, nor an index of shards"
        )
    weights: Weights = {}
    for file in files:
        weights |= read_file(file)
    return weights


def read_file(file: Path) -> Weights:
    """Return the weights of one file by name, none of them in memory yet.

    Pickles are read with `weights_only`: what holds more than tensors is refused, and none of
    its code runs. Raises `ConversionError`.
    """
    return _safetensors(file) if file.suffix == ".safetensors" else _pickle(file)


def _indexed(index: Path) -> list[Path]:
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


def _safetensors(file: Path) -> Weights:
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


def _pickle(file: Path) -> Weights:
    try:
        # Only the zip format of torch >= 1.6 can be mapped; older files are read whole.
        mapped = zipfile.is_zipfile(file)
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError:
        raise ConversionError(
            f"{file} holds more than tensors, or is no checkpoint at all: refused"
        ) from None
    except Exception as error:  # a damaged file may end the unpickler in any way
        reason = str(error).partition("\n")[0]
        raise ConversionError(f"{file} cannot be read: {reason}") from None
    if not isinstance(content, dict):
        raise ConversionError(f"{file} does not hold tensors by name")
    return {str(name): _loaded(file, str(name), tensor) for name, tensor in content.items()}


def _loaded(file: Path, name: str, tensor: object) -> Weight:
    if not isinstance(tensor, Tensor):
        raise ConversionError(f"{file}: {name} is not a tensor")
    return Weight(tuple(tensor.shape), file, lambda: tensor)
