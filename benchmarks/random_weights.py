"""Seeded random weights of a model that never answers with a token without text."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText

SEED: Final = 5
STD: Final = 0.02  # the `initializer_range` of these models
# Output embeddings of ids without text: their logits are so small that no answer contains them.
STD_WITHOUT_TEXT: Final = 1e-4
# From transformers' names to those of the published files.
PUBLISHED_NAMES: Final = (
    (re.compile(r"^model\.vision_tower\.(?:vision_model\.)?"), "vision_tower.vision_model."),
    (re.compile(r"^model\.language_model\."), "language_model.model."),
    (re.compile(r"^lm_head\."), "language_model.lm_head."),
    (re.compile(r"^model\."), ""),
)


def generate_weights(
    folder: Path, dtype: torch.dtype, text_ids: range, device: torch.device
) -> Iterator[tuple[str, Tensor]]:
    """Yield names as published and tensors, one at a time, of the model that the folder describes.

    Norms are 1, biases 0. A GPU takes seconds, and generates other numbers from the seed than a
    CPU.
    """
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder))
    is_tied = model.config.text_config.tie_word_embeddings
    output = "embed_tokens.weight" if is_tied else "lm_head.weight"
    generator = torch.Generator(device).manual_seed(SEED)
    for name, parameter in model.named_parameters():
        if is_tied and name.startswith("lm_head."):
            continue
        tensor = _generate_tensor(name, parameter.shape, generator)
        if name.endswith(output):
            tensor[: text_ids.start] *= STD_WITHOUT_TEXT / STD
            tensor[text_ids.stop :] *= STD_WITHOUT_TEXT / STD
        yield _to_published_name(name), tensor.to(dtype).cpu()


def _generate_tensor(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape)
    if "norm" in name and len(shape) == 1:
        return torch.ones(shape)
    return torch.randn(shape, generator=generator, device=generator.device) * STD


def _to_published_name(name: str) -> str:
    for pattern, published in PUBLISHED_NAMES:
        name, replaced = pattern.subn(published, name, count=1)
        if replaced:
            return name
    return name
