"""Image embeddings made from what a scene holds, for a decoder that has no eyes yet."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import nn
from transformers import LlavaForConditionalGeneration

from training.data.dataset import SceneSet
from training.data.labels import SUMMARY_PATCHES
from training.data.scenes import COLORS, GROUNDS, NOUNS, PLACES, SIZES
from training.model.architecture import HIDDEN, IMAGE_TOKENS
from training.model.packing import PieceEncoder
from training.model.tokenizer import VOCABULARY_SIZE

# Of the embeddings' scale: what is seen is never quite what is meant.
_NOISE: Final = 0.15


class OracleFeatures:
    """The nine summary patches say the words for what their places hold, the others the ground's.

    They are sums of the decoder's own word embeddings, so that a question's noun and the patch it
    asks for look alike from the start.
    """

    def __init__(self, model: LlavaForConditionalGeneration, encode: PieceEncoder) -> None:
        self._embedding: nn.Embedding = model.model.language_model.embed_tokens
        names = (["nothing", *NOUNS], ["", *COLORS], ["", *SIZES], GROUNDS, PLACES)
        self._words = [_count_words(encode, rows) for rows in names]

    def embed(self, scenes: SceneSet, indices: Sequence[int]) -> torch.Tensor:
        """(n, 64, 256)"""
        weight = self._embedding.weight
        tables = [words.to(weight.device) @ weight for words in self._words]
        summary = scenes.summary_of(indices).to(weight.device)  # (n, 9, 4)
        parts = [table[summary[..., index]] for index, table in enumerate(tables[:4])]
        said = torch.stack(parts).sum(0) + tables[4]  # (n, 9, 256)
        rest = parts[3][:, :1].expand(-1, IMAGE_TOKENS, HIDDEN)
        embeds = rest.index_copy(1, torch.tensor(SUMMARY_PATCHES, device=weight.device), said)
        return embeds + _NOISE * torch.randn_like(embeds)


def _count_words(encode: PieceEncoder, rows: Sequence[str]) -> torch.Tensor:
    """How often each row's text holds each token. (rows, vocabulary)"""
    counts = torch.zeros(len(rows), VOCABULARY_SIZE)
    for row, text in enumerate(rows):
        for token in encode(f" {text}") if text else ():
            counts[row, token] += 1
    return counts
