"""Pads the embedding matrix and the head for added tokens, as transformers does."""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from model_store.convert.weights import Weight
from model_store.errors import ConversionError

_MULTIPLE: Final = 64


def compute_vocab_size(num_rows: int, num_tokens: int) -> int:
    """Return the smallest multiple of 64 that is at least `num_rows` and `num_tokens`."""
    return -(-max(num_rows, num_tokens) // _MULTIPLE) * _MULTIPLE


def pad_vocabulary(name: str, weight: Weight, vocab_size: int) -> Weight:
    """Return `weight` (rows, hidden) padded to `vocab_size` rows with the mean of the old ones.

    The mean keeps untrained tokens from having large logits or embeddings.
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
