"""The decoder and what it makes of packed questions: each answer's loss and whether it is right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from training.loop.training_loop import Schedule, compile_if_long
from training.model.architecture import HEAD_SIZE
from training.model.packing import CHUNK, Batch
from training.model.tokenizer import IMAGE_ID, PAD_ID

# The embeddings of these scenes' images. (n, 64, 256)
Embed = Callable[[Sequence[int]], torch.Tensor]

# Half of the heads of the third of four layers are told where to look.
GUIDED_LAYER, GUIDED_HEADS = 2, 2
_HIDDEN_SCORE = -1e4


class Rotary(NamedTuple):
    """Tables of the rotary position embedding. (n, 1, length, head size)"""

    cos: torch.Tensor
    sin: torch.Tensor


class Masks(NamedTuple):
    """What is added to scores within the opening, from chunks to the opening, within chunks."""

    opening: torch.Tensor  # (n, 1, o, o)
    across: torch.Tensor  # (n, 1, 1, o)
    chunk: torch.Tensor  # (n, 1, chunks, chunk, chunk)


@dataclass(frozen=True, slots=True)
class AnswerScores:
    """The loss of each answer, whether each is right, and how far guided heads strayed.

    Right means that greedy decoding would give exactly it.
    """

    losses: torch.Tensor
    right: torch.Tensor
    stray: torch.Tensor


class PackedDecoder(nn.Module):
    """The decoder and its vocabulary head."""

    def __init__(
        self, model: LlavaForConditionalGeneration, schedule: Schedule | None = None
    ) -> None:
        super().__init__()
        self.decoder = model.model.language_model
        self.lm_head = model.lm_head
        self._run = compile_if_long(self._decode, schedule) if schedule else self._decode

    def forward(self, batch: Batch, image_embeds: torch.Tensor) -> AnswerScores:
        ids = torch.cat([batch.opening, batch.ids], dim=1)
        embeds = splice(self.decoder.embed_tokens(ids), ids, image_embeds)
        hidden, attention = self._run(embeds, _positions(batch), _masks(batch))
        said = batch.answers[:, 1:] >= 0
        logits = self.lm_head(hidden[:, batch.opening.shape[1] : -1][said]).float()
        losses, right = _judge(
            logits, batch.ids[:, 1:][said], batch.answers[:, 1:][said], len(batch.kinds)
        )
        return AnswerScores(losses, right, _stray(batch, attention))

    def loss(self, batch: Batch, image_embeds: torch.Tensor, guidance: float) -> torch.Tensor:
        """The mean over answers plus `guidance` times attention's straying in look-ups."""
        answered = self.forward(batch, image_embeds)
        answer_loss: torch.Tensor = answered.losses.mean()
        return answer_loss + guidance * answered.stray if guidance else answer_loss

    def _decode(
        self, hidden: torch.Tensor, positions: torch.Tensor, masks: Masks
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Llama's layers; also what the guided heads of each chunk token pay to the opening."""
        cos, sin = self.decoder.rotary_emb(hidden, position_ids=positions)
        rotary = Rotary(cos[:, None], sin[:, None])
        guided = hidden
        for index, layer in enumerate(self.decoder.layers):
            attended, paid = _attend(layer.self_attn, layer.input_layernorm(hidden), rotary, masks)
            hidden = hidden + attended
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
            if index == GUIDED_LAYER:
                guided = paid[:, :GUIDED_HEADS]
        return self.decoder.norm(hidden), guided


def splice(embeds: torch.Tensor, ids: torch.Tensor, image_embeds: torch.Tensor) -> torch.Tensor:
    """Put the images' rows, in reading order, where the image tokens stand. (n, length, 256)"""
    places = (ids == IMAGE_ID)[..., None]
    return embeds.masked_scatter(places, image_embeds.to(embeds.dtype))


def _positions(batch: Batch) -> torch.Tensor:
    count, length = batch.opening.shape
    opening = torch.arange(length, device=batch.ids.device).expand(count, length)
    return torch.cat([opening, batch.positions], dim=1)


def _masks(batch: Batch) -> Masks:
    """Earlier tokens only: of the opening, and of one's own block."""
    device, length = batch.ids.device, batch.opening.shape[1]
    there = batch.opening != PAD_ID  # (n, o)
    causal = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    blocks = batch.blocks.unflatten(1, (-1, CHUNK))  # (n, chunks, chunk)
    same = blocks[..., :, None] == blocks[..., None, :]
    within = same & torch.ones(CHUNK, CHUNK, dtype=torch.bool, device=device).tril()
    return Masks(
        _hide(causal & there[:, None, :])[:, None],
        _hide(there)[:, None, None],
        _hide(within)[:, None],
    )


def _hide(visible: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(visible, dtype=torch.float32).masked_fill(~visible, _HIDDEN_SCORE)


def _attend(
    attention: Any, hidden: torch.Tensor, rotary: Rotary, masks: Masks
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention in the pattern of `Masks`, and what chunks pay to the opening (n, heads, c, o)."""
    length = masks.opening.shape[-1]
    query = _rotate(_heads(attention.q_proj(hidden)), rotary) * HEAD_SIZE**-0.5
    key = _rotate(_heads(attention.k_proj(hidden)), rotary)
    value = _heads(attention.v_proj(hidden))
    asked, asking = query[:, :, :length], query[:, :, length:]
    first_key, chunk_key = key[:, :, :length], _by_chunk(key[:, :, length:])
    first_value, chunk_value = value[:, :, :length], _by_chunk(value[:, :, length:])
    opening = (asked @ first_key.mT + masks.opening).float().softmax(-1).to(value.dtype)
    across = (asking @ first_key.mT + masks.across).float()
    within = (_by_chunk(asking) @ chunk_key.mT + masks.chunk).float().flatten(2, 3)
    shares = torch.cat([across, within], dim=-1).softmax(-1)
    paid, own = shares[..., :length], _by_chunk(shares[..., length:])
    chunks = paid.to(value.dtype) @ first_value + (own.to(value.dtype) @ chunk_value).flatten(2, 3)
    attended = torch.cat([opening @ first_value, chunks], dim=2).transpose(1, 2).flatten(2)
    return attention.o_proj(attended), paid


def _heads(projected: torch.Tensor) -> torch.Tensor:
    """(n, length, 256) -> (n, heads, length, 64)"""
    heads: torch.Tensor = projected.unflatten(-1, (-1, HEAD_SIZE)).transpose(1, 2)
    return heads


def _by_chunk(tokens: torch.Tensor) -> torch.Tensor:
    """(n, heads, chunks * chunk, …) -> (n, heads, chunks, chunk, …)"""
    chunks: torch.Tensor = tokens.unflatten(2, (-1, CHUNK))
    return chunks


def _rotate(heads: torch.Tensor, rotary: Rotary) -> torch.Tensor:
    """Rotary position embedding, as Llama's."""
    first, second = heads.chunk(2, dim=-1)
    turned = heads * rotary.cos + torch.cat((-second, first), dim=-1) * rotary.sin
    return turned.to(heads.dtype)


def _stray(batch: Batch, attention: torch.Tensor) -> torch.Tensor:
    """Minus the log of the attention that the guided heads pay to what is asked for.

    `attention` is (n, guided heads, c, o).
    """
    if not len(batch.looks):
        return attention.new_zeros(())
    paid = attention.transpose(1, 2)[batch.looks[:, 0], batch.looks[:, 1]]  # (m, heads, o)
    return -(paid * batch.looked_at[:, None]).sum(-1).clamp(min=1e-6).log().mean()


def _judge(
    logits: torch.Tensor, targets: torch.Tensor, answers: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Average over each answer's tokens, so that one word weighs as much as a description."""
    zeros = torch.zeros(count, device=logits.device)
    lengths = zeros.index_add(0, answers, torch.ones_like(answers, dtype=zeros.dtype))
    losses = functional.cross_entropy(logits, targets, reduction="none")
    wrong = (logits.argmax(-1) != targets).float()
    return zeros.index_add(0, answers, losses) / lengths, zeros.index_add(0, answers, wrong) == 0
