"""Writes a checkpoint of a published shape with seeded random weights."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from benchmarks.byte_fallback_tokenizer import build_byte_fallback_tokenizer
from benchmarks.byte_level_tokenizer import build_byte_level_tokenizer
from benchmarks.gpu import has_gpu
from benchmarks.random_weights import generate_weights
from benchmarks.shapes.shape import Shape, TokenizerKind

# Random checkpoints of shapes, kept from run to run.
SHAPES_FOLDER: Final = Path(__file__).parent.parent / ".bench" / "shapes"
DTYPE: Final = torch.bfloat16
SHARD_BYTES: Final = 4 * 2**30
CPU: Final = torch.device("cpu")
TOKENIZERS: Final[Mapping[TokenizerKind, Callable[[Mapping[str, int]], Tokenizer]]] = {
    TokenizerKind.BYTE_LEVEL: build_byte_level_tokenizer,
    TokenizerKind.BYTE_FALLBACK: build_byte_fallback_tokenizer,
}


def write_on_fastest_device(shape: Shape, folder: Path) -> Path:
    """As `write_once`; a GPU generates the weights if there is one."""
    if has_gpu():
        return write_in_own_process(shape, folder, torch.device("cuda"))
    return write_once(shape, folder, DTYPE)


def write_in_own_process(shape: Shape, folder: Path, device: torch.device) -> Path:
    """Write in a separate process, so that no context takes GPU memory during measurements."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(write_once, shape, folder, DTYPE, device).result()


def write_once(shape: Shape, folder: Path, dtype: torch.dtype, device: torch.device = CPU) -> Path:
    """Return the folder of the shape's checkpoint below `folder`; write it if it is missing."""
    path = folder / f"{shape.name}-{str(dtype).removeprefix('torch.')}"
    if not path.exists():
        partial = path.with_name(f"{path.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        write_checkpoint(shape, partial, dtype, device)
        partial.rename(path)
    return path


def write_checkpoint(
    shape: Shape, folder: Path, dtype: torch.dtype, device: torch.device = CPU
) -> None:
    """Write the files of the shape, and weights that the device generates."""
    write_files(shape, folder, dtype)
    _save(folder, generate_weights(folder, dtype, shape.text_ids, device))


def write_files(shape: Shape, folder: Path, dtype: torch.dtype) -> None:
    """Write everything but the weights: configuration, and a tokenizer of the shape's size."""
    folder.mkdir(parents=True)
    name = str(dtype).removeprefix("torch.")
    files = shape.build_files() | {"config.json": shape.config | {"torch_dtype": name}}
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content, indent=2), encoding="utf-8")
    build_tokenizer(shape).save(str(folder / "tokenizer.json"))


def build_tokenizer(shape: Shape) -> Tokenizer:
    """Build a tokenizer of the shape's kind and size."""
    return TOKENIZERS[shape.tokenizer](shape.special_tokens)


def _save(folder: Path, weights: Iterator[tuple[str, Tensor]]) -> None:
    """Save the weights as shards, with the index that transformers writes."""
    index: dict[str, str] = {}
    for number in itertools.count(1):
        file = f"model-{number:05}.safetensors"
        shard = dict(_take_shard(weights))
        if not shard:
            break
        save_file(shard, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(shard, file)
    content = {"metadata": {}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(content), encoding="utf-8")


def _take_shard(weights: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Yield weights until they fill a shard."""
    size = 0
    for name, tensor in weights:
        yield name, tensor
        size += tensor.nbytes
        if size >= SHARD_BYTES:
            return
