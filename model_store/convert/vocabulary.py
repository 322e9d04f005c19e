"""Rows for added tokens: the embedding matrix and the head, padded as transformers pads them."""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from model_store.convert.weights import Weight
from model_store.errors import ConversionError

_MULTIPLE: Final = 64


def padded_size(num_rows: int, num_tokens: int) -> int:
    """Return the least multiple of 64 that holds all rows and all tokens."""
    return -(-max(num_rows, num_tokens) // _MULTIPLE) * _MULTIPLE


def padded(name: str, weight: Weight, vocab_size: int) -> Weight:
    """Return `weight` (rows, hidden) with rows up to `vocab_size`, each the mean of the old ones.

    The mean makes a token that the model never saw neither likely nor loud.
    """
    rows, *rest = weight.shape
    if len(rest) != 1 or rows > vocab_size:
        raise ConversionError(
            f"{weight.origin}: {name} is {weight.shape}, not (at most {vocab_size}, hidden_size)"
        )

    def load() -> Tensor:
        old = weight.load()
        mean = old.float().mean(dim=0, keepdim=True).to(old.dtype)
        return torch.cat([old, mean.expand(vocab_size - rows, -1)])

    return Weight((vocab_size, *rest), Path(weight.origin), load)
