"""The decoder over packed sequences: the loss and the exact match of each answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from training.model.batch import Batch
from training.model.packed_attention import (
    AttentionMasks,
    Rotary,
    build_masks,
    build_position_ids,
    compute_attention,
)
from training.model.tokenizer import IMAGE_ID

# Scene indices -> image embeddings. (n, 64, 256)
EmbedImages = Callable[[Sequence[int]], torch.Tensor]

# Attention guidance trains half of the heads of the third of four layers.
GUIDED_LAYER, NUM_GUIDED_HEADS = 2, 2


@dataclass(frozen=True, slots=True)
class AnswerScores:
    """The loss of each answer, whether it is correct, and the attention guidance loss.

    An answer is correct if greedy decoding would generate exactly it.
    """

    losses: torch.Tensor  # (answers,)
    is_correct: torch.Tensor  # (answers,)
    guidance_loss: torch.Tensor  # ()


class PackedDecoder(nn.Module):
    """The language model and its `lm_head`, applied to packed sequences."""

    def __init__(self, model: LlavaForConditionalGeneration, compile_layers: bool = False) -> None:
        super().__init__()
        self.decoder = model.model.language_model
        self.lm_head = model.lm_head
        self._run = (
            torch.compile(self._run_layers, dynamic=False) if compile_layers else self._run_layers
        )

    def forward(self, batch: Batch, image_embeds: torch.Tensor) -> AnswerScores:
        ids = torch.cat([batch.prefix, batch.ids], dim=1)
        embeds = merge_image_embeds(self.decoder.embed_tokens(ids), ids, image_embeds)
        hidden, attention = self._run(embeds, build_position_ids(batch), build_masks(batch))
        is_target = batch.answers[:, 1:] >= 0
        logits = self.lm_head(hidden[:, batch.prefix.shape[1] : -1][is_target]).float()
        losses, is_correct = _score_answers(
            logits, batch.ids[:, 1:][is_target], batch.answers[:, 1:][is_target], len(batch.kinds)
        )
        return AnswerScores(losses, is_correct, _compute_guidance_loss(batch, attention))

    def compute_loss(
        self, batch: Batch, image_embeds: torch.Tensor, guidance_weight: float
    ) -> torch.Tensor:
        """The mean of the answers' losses plus `guidance_weight` times the guidance loss."""
        scores = self.forward(batch, image_embeds)
        answer_loss: torch.Tensor = scores.losses.mean()
        return (
            answer_loss + guidance_weight * scores.guidance_loss if guidance_weight else answer_loss
        )

    def _run_layers(
        self, hidden: torch.Tensor, position_ids: torch.Tensor, masks: AttentionMasks
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Llama's layers.

        Returns the last hidden states (n, length, 256), and the guided heads' attention from the
        chunks' tokens to the prefix (n, guided heads, c, p).
        """
        cos, sin = self.decoder.rotary_emb(hidden, position_ids=position_ids)
        rotary = Rotary(cos[:, None], sin[:, None])
        guided = hidden
        for index, layer in enumerate(self.decoder.layers):
            output, weights = compute_attention(
                layer.self_attn, layer.input_layernorm(hidden), rotary, masks
            )
            hidden = hidden + output
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
            if index == GUIDED_LAYER:
                guided = weights[:, :NUM_GUIDED_HEADS]
        return self.decoder.norm(hidden), guided


def merge_image_embeds(
    embeds: torch.Tensor, ids: torch.Tensor, image_embeds: torch.Tensor
) -> torch.Tensor:
    """Replace the embeddings of the image tokens, in reading order. (n, length, 256)"""
    is_image = (ids == IMAGE_ID)[..., None]
    return embeds.masked_scatter(is_image, image_embeds.to(embeds.dtype))


def _compute_guidance_loss(batch: Batch, attention: torch.Tensor) -> torch.Tensor:
    """Minus the log of the guided heads' attention to their targets.

    `attention` is (n, guided heads, c, p).
    """
    if not len(batch.guided_tokens):
        return attention.new_zeros(())
    rows, tokens = batch.guided_tokens[:, 0], batch.guided_tokens[:, 1]
    weights = attention.transpose(1, 2)[rows, tokens]  # (m, heads, p)
    on_target = (weights * batch.attention_targets[:, None]).sum(-1)
    return -on_target.clamp(min=1e-6).log().mean()


def _score_answers(
    logits: torch.Tensor, targets: torch.Tensor, answers: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of each answer and whether it is correct. (count,) each

    The loss is the mean over an answer's tokens, so that one word weighs as much as a description.
    """
    zeros = torch.zeros(count, device=logits.device)
    lengths = zeros.index_add(0, answers, torch.ones_like(answers, dtype=zeros.dtype))
    losses = functional.cross_entropy(logits, targets, reduction="none")
    errors = (logits.argmax(-1) != targets).float()
    return zeros.index_add(0, answers, losses) / lengths, zeros.index_add(0, answers, errors) == 0
