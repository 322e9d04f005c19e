"""Writes a checkpoint of a published shape with seeded random weights."""

import itertools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText

from benchmarks.requests import build_question
from benchmarks.shapes import Shape

SEED: Final = 5
STD: Final = 0.02  # the `initializer_range` of these models
# Embeddings of ids that have no text: with tied embeddings no answer takes one.
STD_WITHOUT_TEXT: Final = 1e-4
SHARD_BYTES: Final = 4 * 2**30
TRAINED_TOKENS: Final = 2000
TRAINING_QUESTIONS: Final = 2000
# Qwen2's way to split text before merging.
WORDS: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# From transformers' names to those of the published files.
PUBLISHED_NAMES: Final = (
    (re.compile(r"^model\.vision_tower\.(?:vision_model\.)?"), "vision_tower.vision_model."),
    (re.compile(r"^model\.language_model\."), "language_model.model."),
    (re.compile(r"^lm_head\."), "language_model.lm_head."),
    (re.compile(r"^model\."), ""),
)


def write_once(shape: Shape, folder: Path, dtype: torch.dtype) -> Path:
    """Return the folder of the shape's checkpoint below `folder`; write it if it is missing."""
    path = folder / f"{shape.name}-{str(dtype).removeprefix('torch.')}"
    if not path.exists():
        partial = path.with_name(f"{path.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        write_checkpoint(shape, partial, dtype)
        partial.rename(path)
    return path


def write_checkpoint(shape: Shape, folder: Path, dtype: torch.dtype) -> None:
    """Write the configuration files, a tokenizer of the shape's size and random weights."""
    folder.mkdir(parents=True)
    name = str(dtype).removeprefix("torch.")
    files = shape.build_files() | {"config.json": shape.config | {"torch_dtype": name}}
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content, indent=2), encoding="utf-8")
    tokenizer = build_tokenizer(shape)
    tokenizer.save(str(folder / "tokenizer.json"))
    _save(folder, _generate_weights(folder, dtype, min(shape.special_tokens.values())))


def build_tokenizer(shape: Shape) -> Tokenizer:
    """Train a byte-level BPE on the load's questions, and fill it up to the shape's vocabulary.

    Nothing is encoded as one of the filling tokens; they are the text of a random model's answers.
    """
    specials = shape.special_tokens
    ids = sorted(set(range(max(specials.values()))) - set(specials.values()))
    model = _train(min(TRAINED_TOKENS, len(ids)))
    known = sorted(model["vocab"], key=model["vocab"].get)
    tokens = [*known, *(f"Ġw{number}" for number in ids[len(known) :])]
    vocabulary = dict(zip(tokens, ids, strict=True)) | dict(specials)
    tokenizer = _create_tokenizer(BPE(vocabulary, [tuple(pair) for pair in model["merges"]]))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in specials])
    return tokenizer


def _train(size: int) -> Any:
    """Return the model of a trained tokenizer, as its JSON has it."""
    tokenizer = _create_tokenizer(BPE())
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(map(build_question, range(TRAINING_QUESTIONS)), trainer)
    return json.loads(tokenizer.to_str())["model"]


def _create_tokenizer(model: BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _generate_weights(
    folder: Path, dtype: torch.dtype, num_text_ids: int
) -> Iterator[tuple[str, Tensor]]:
    """Yield names as published and tensors, one at a time, of the model that the folder describes.

    Norms are 1, biases 0. Ids from `num_text_ids` on, special tokens among them, have no text.
    """
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder))
    is_tied = model.config.text_config.tie_word_embeddings
    generator = torch.Generator().manual_seed(SEED)
    for name, parameter in model.named_parameters():
        if is_tied and name.startswith("lm_head."):
            continue
        tensor = _generate_tensor(name, parameter.shape, generator)
        if name.endswith("embed_tokens.weight"):
            tensor[num_text_ids:] *= STD_WITHOUT_TEXT / STD
        yield _to_published_name(name), tensor.to(dtype)


def _generate_tensor(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape)
    if "norm" in name and len(shape) == 1:
        return torch.ones(shape)
    return torch.randn(shape, generator=generator) * STD


def _to_published_name(name: str) -> str:
    for pattern, published in PUBLISHED_NAMES:
        name, replaced = pattern.subn(published, name, count=1)
        if replaced:
            return name
    return name


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
