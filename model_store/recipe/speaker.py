"""The decoder and what it makes of packed questions: each answer's loss and whether it is right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from model_store.recipe.architecture import HEAD_SIZE
from model_store.recipe.fitting import Schedule, compile_if_long
from model_store.recipe.sequences import Batch, block_mask
from model_store.recipe.tokenizer import IMAGE_ID

# The embeddings of these scenes' images. (n, 64, 256)
Embed = Callable[[Sequence[int]], torch.Tensor]

# Half of the heads of the third of four layers are told where to look.
GUIDED_LAYER, GUIDED_HEADS = 2, 2


class Attention(NamedTuple):
    """What one layer attends with: its input (n, length, 256) and its rotary tables."""

    hidden: torch.Tensor
    cos: torch.Tensor
    sin: torch.Tensor


@dataclass(frozen=True, slots=True)
class Answered:
    """The loss of each answer, and whether each is right: greedy decoding would give exactly it."""

    losses: torch.Tensor
    right: torch.Tensor
    attention: Attention


class Speaker(nn.Module):
    """The decoder and its vocabulary head."""

    def __init__(
        self, model: LlavaForConditionalGeneration, schedule: Schedule | None = None
    ) -> None:
        super().__init__()
        self.decoder = model.model.language_model
        self.lm_head = model.lm_head
        self._run = compile_if_long(self._decode, schedule) if schedule else self._decode

    def forward(self, batch: Batch, image_embeds: torch.Tensor) -> Answered:
        embeds = splice(self.decoder.embed_tokens(batch.ids), batch.ids, image_embeds)
        hidden, attention = self._run(embeds, batch.attention_mask(), batch.positions)
        said = batch.answers[:, 1:] >= 0
        logits = self.lm_head(hidden[:, :-1][said]).float()  # (answer tokens, vocabulary)
        losses, right = _judge(
            logits, batch.ids[:, 1:][said], batch.answers[:, 1:][said], len(batch.kinds)
        )
        return Answered(losses, right, attention)

    def _decode(
        self, hidden: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, Attention]:
        cos, sin = self.decoder.rotary_emb(hidden, position_ids=positions)
        guided = hidden
        for index, layer in enumerate(self.decoder.layers):
            guided = hidden if index == GUIDED_LAYER else guided
            hidden = layer(
                hidden,
                attention_mask=mask,
                position_ids=positions,
                position_embeddings=(cos, sin),
            )
        return self.decoder.norm(hidden), Attention(guided, cos, sin)

    def loss(
        self, batch: Batch, image_embeds: torch.Tensor, labels: torch.Tensor, guidance: float
    ) -> torch.Tensor:
        """The mean over answers plus `guidance` times attention's straying in look-ups.

        `labels` (images, 64, 3) say which patches show what is looked up.
        """
        answered = self.forward(batch, image_embeds)
        answer_loss: torch.Tensor = answered.losses.mean()
        if not guidance or not len(batch.look_ups):
            return answer_loss
        return answer_loss + guidance * self._stray(batch, answered.attention, labels)

    def _stray(self, batch: Batch, attention: Attention, labels: torch.Tensor) -> torch.Tensor:
        """Minus the log of the attention that the guided heads pay to the patches asked for."""
        shown = _patches_of(batch.look_ups, labels)
        in_sight = shown.any(dim=1)  # hidden where neighbours cover a thing's only patch
        rows, tokens = batch.look_ups[in_sight, 0], batch.look_ups[in_sight, 1]
        layer = self.decoder.layers[GUIDED_LAYER]
        normed = layer.input_layernorm(attention.hidden)
        cos, sin = attention.cos[..., None, :], attention.sin[..., None, :]
        queries = _rotate(_heads(layer.self_attn.q_proj(normed)), cos, sin)[rows, tokens]
        keys = _rotate(_heads(layer.self_attn.k_proj(normed)), cos, sin)[rows]
        scores = torch.einsum("mhd,mthd->mht", queries, keys).float() * HEAD_SIZE**-0.5
        wanted = torch.zeros(len(rows), batch.ids.shape[1], dtype=torch.bool)
        wanted[batch.ids[rows] == IMAGE_ID] = shown[in_sight].flatten()
        visible = block_mask(batch.blocks)[rows, tokens]
        paid = scores.masked_fill(~wanted[:, None], -torch.inf).logsumexp(-1)
        total = scores.masked_fill(~visible[:, None], -torch.inf).logsumexp(-1)
        stray: torch.Tensor = (total - paid).mean()
        return stray


def _patches_of(look_ups: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Which patches show the thing looked up. (m, 64)"""
    images, places = look_ups[:, 2], look_ups[:, 3]
    return (labels[images, :, 2] == 1 + places[:, None]) & (labels[images, :, 0] > 0)


def _heads(projected: torch.Tensor) -> torch.Tensor:
    """The guided heads' part. (n, length, 256) -> (n, length, guided heads, 64)"""
    heads: torch.Tensor = projected.unflatten(-1, (-1, HEAD_SIZE))
    return heads[:, :, :GUIDED_HEADS]


def _rotate(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary position embedding, as Llama's."""
    first, second = heads.chunk(2, dim=-1)
    return heads * cos + torch.cat((-second, first), dim=-1) * sin


def splice(embeds: torch.Tensor, ids: torch.Tensor, image_embeds: torch.Tensor) -> torch.Tensor:
    """Put the images' rows, in reading order, where the image tokens stand. (n, length, 256)"""
    places = (ids == IMAGE_ID)[..., None]
    return embeds.masked_scatter(places, image_embeds.to(embeds.dtype))


def _judge(
    logits: torch.Tensor, targets: torch.Tensor, answers: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Average over each answer's tokens, so that one word weighs as much as a description."""
    lengths = torch.zeros(count).index_add_(0, answers, torch.ones(len(answers)))
    losses = functional.cross_entropy(logits, targets, reduction="none")
    wrong = (logits.argmax(-1) != targets).float()
    return (
        torch.zeros(count).index_add(0, answers, losses) / lengths,
        torch.zeros(count).index_add(0, answers, wrong) == 0,
    )
