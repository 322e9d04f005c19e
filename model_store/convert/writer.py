"""Writes weights to safetensors files, a few gigabytes at a time."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from model_store.convert.json_file import write_json
from model_store.convert.weights import Weights
from model_store.errors import ConversionError

SHARD_BYTES: Final = 4_000_000_000


def write_weights(
    weights: Weights, folder: Path, dtype: torch.dtype, shard_bytes: int = SHARD_BYTES
) -> None:
    """Write `weights` as model.safetensors, or as shards with an index above `shard_bytes`.

    At most one shard is in memory.
    """
    shards = _plan_shards(weights, dtype, shard_bytes)
    with tqdm(total=len(weights), unit="tensor", desc="weights", leave=False) as progress:
        for file, names in shards.items():
            tensors = {}
            for name in names:
                tensors[name] = _load(weights, name, dtype)
                progress.update()
            _save(tensors, folder / file)
    if len(shards) > 1:
        write_json(
            folder / "model.safetensors.index.json",
            {
                "metadata": {"total_size": _count_bytes(weights, weights, dtype)},
                "weight_map": {name: file for file, names in shards.items() for name in names},
            },
        )


def _save(tensors: dict[str, Tensor], file: Path) -> None:
    try:
        save_file(tensors, file, metadata={"format": "pt"})
    except SafetensorError as error:  # also for errors of the disk
        raise ConversionError(f"{file} cannot be written: {error}") from None
    file.chmod(0o644)


def _load(weights: Weights, name: str, dtype: torch.dtype) -> Tensor:
    tensor = weights[name].load()
    if not tensor.is_floating_point():
        raise ConversionError(f"{weights[name].origin}: {name} is of type {tensor.dtype}")
    converted = tensor.to(dtype, copy=True).contiguous()
    # A bfloat16 or float32 weight beyond float16's range silently becomes infinity. Minimum and
    # maximum show that, and NaN too, and take no memory.
    if not torch.isfinite(torch.stack(torch.aminmax(converted))).all():
        raise ConversionError(
            f"{weights[name].origin}: {name} has values that are not finite in {dtype}"
        )
    return converted


def _plan_shards(weights: Weights, dtype: torch.dtype, shard_bytes: int) -> dict[str, list[str]]:
    """Return the file names, each with the names of its weights, in order."""
    parts: list[list[str]] = [[]]
    filled = 0
    for name in weights:
        size = _count_bytes(weights, [name], dtype)
        if parts[-1] and filled + size > shard_bytes:
            parts.append([])
            filled = 0
        parts[-1].append(name)
        filled += size
    if len(parts) == 1:
        return {"model.safetensors": parts[0]}
    return {
        f"model-{number:05}-of-{len(parts):05}.safetensors": names
        for number, names in enumerate(parts, 1)
    }


def _count_bytes(weights: Weights, names: Iterable[str], dtype: torch.dtype) -> int:
    return sum(math.prod(weights[name].shape) for name in names) * dtype.itemsize
