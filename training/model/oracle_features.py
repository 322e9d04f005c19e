"""Image embeddings computed from the scene itself, for a decoder without a vision tower yet."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import nn
from transformers import LlavaForConditionalGeneration

from training.data.dataset import SceneDataset
from training.data.labels import SUMMARY_PATCHES
from training.data.scenes import BACKGROUND_COLORS, COLORS, NOUNS, PLACES, SIZES
from training.model.architecture import HIDDEN_SIZE, NUM_IMAGE_TOKENS
from training.model.tokenizer import VOCABULARY_SIZE, CachedTokenizer

# The noise's standard deviation: a real projector's embeddings are never exact.
_NOISE: Final = 0.15


class OracleFeatures:
    """Sums of the decoder's own word embeddings as image embeddings.

    Each of the nine summary patches sums the words for the content of its place. The other patches
    have the background's colour. A question's noun and the patch it asks for are then similar from
    the start of training.
    """

    def __init__(self, model: LlavaForConditionalGeneration, encode: CachedTokenizer) -> None:
        self._embedding: nn.Embedding = model.model.language_model.embed_tokens
        vocabularies = (["nothing", *NOUNS], ["", *COLORS], ["", *SIZES], BACKGROUND_COLORS, PLACES)
        self._token_counts = [_count_tokens(encode, texts) for texts in vocabularies]

    def embed(self, dataset: SceneDataset, indices: Sequence[int]) -> torch.Tensor:
        """Image embeddings of these scenes, with noise. (n, 64, 256)"""
        weight = self._embedding.weight
        tables = [counts.to(weight.device) @ weight for counts in self._token_counts]
        labels = dataset.select_summary_labels(indices).to(weight.device)  # (n, 9, 4)
        attributes = [table[labels[..., index]] for index, table in enumerate(tables[:4])]
        summary = torch.stack(attributes).sum(0) + tables[4]  # (n, 9, 256)
        background = attributes[3][:, :1].expand(-1, NUM_IMAGE_TOKENS, HIDDEN_SIZE)
        patches = torch.tensor(SUMMARY_PATCHES, device=weight.device)
        embeds = background.index_copy(1, patches, summary)
        return embeds + _NOISE * torch.randn_like(embeds)


def _count_tokens(encode: CachedTokenizer, texts: Sequence[str]) -> torch.Tensor:
    """The number of times each text contains each token. (texts, vocabulary)"""
    counts = torch.zeros(len(texts), VOCABULARY_SIZE)
    for row, text in enumerate(texts):
        for token in encode(f" {text}") if text else ():
            counts[row, token] += 1
    return counts
