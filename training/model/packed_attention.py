"""Llama's attention over packed sequences: chunks attend to the prefix and within themselves."""

from typing import Any, Final, NamedTuple

import torch

from training.model.architecture import HEAD_DIM
from training.model.batch import Batch
from training.model.packing import CHUNK_LENGTH
from training.model.tokenizer import PAD_ID

_MASKED_SCORE: Final = -1e4


class Rotary(NamedTuple):
    """Tables of the rotary position embedding. (n, 1, length, head_dim)"""

    cos: torch.Tensor
    sin: torch.Tensor


class AttentionMasks(NamedTuple):
    """Additive masks: within the prefix, from chunks to the prefix, and within chunks."""

    prefix: torch.Tensor  # (n, 1, p, p)
    chunk_to_prefix: torch.Tensor  # (n, 1, 1, p)
    within_chunk: torch.Tensor  # (n, 1, chunks, chunk, chunk)


def build_position_ids(batch: Batch) -> torch.Tensor:
    """Positions of prefix and chunks. (n, length)"""
    count, length = batch.prefix.shape
    prefix = torch.arange(length, device=batch.ids.device).expand(count, length)
    return torch.cat([prefix, batch.positions], dim=1)


def build_masks(batch: Batch) -> AttentionMasks:
    """Causal masks: a token attends to the prefix and to its own block."""
    device, length = batch.ids.device, batch.prefix.shape[1]
    is_token = batch.prefix != PAD_ID  # (n, p)
    causal = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    blocks = batch.blocks.unflatten(1, (-1, CHUNK_LENGTH))  # (n, chunks, chunk)
    same_block = blocks[..., :, None] == blocks[..., None, :]
    chunk_causal = torch.ones(CHUNK_LENGTH, CHUNK_LENGTH, dtype=torch.bool, device=device).tril()
    return AttentionMasks(
        _to_additive(causal & is_token[:, None, :])[:, None],
        _to_additive(is_token)[:, None, None],
        _to_additive(same_block & chunk_causal)[:, None],
    )


def compute_attention(
    attention: Any, hidden: torch.Tensor, rotary: Rotary, masks: AttentionMasks
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention's output (n, length, 256), and its weights from chunks to prefix (n, heads, c, p).

    `attention` is a layer's `LlamaAttention`, c the length of all chunks.
    """
    length = masks.prefix.shape[-1]
    query = _rotate(_split_heads(attention.q_proj(hidden)), rotary) * HEAD_DIM**-0.5
    key = _rotate(_split_heads(attention.k_proj(hidden)), rotary)
    value = _split_heads(attention.v_proj(hidden))
    prefix_query, query = query[:, :, :length], query[:, :, length:]
    prefix_key, chunk_key = key[:, :, :length], _split_chunks(key[:, :, length:])
    prefix_value, chunk_value = value[:, :, :length], _split_chunks(value[:, :, length:])
    prefix_weights = (prefix_query @ prefix_key.mT + masks.prefix).float().softmax(-1)
    prefix_output = prefix_weights.to(value.dtype) @ prefix_value
    to_prefix = (query @ prefix_key.mT + masks.chunk_to_prefix).float()
    within_chunk = (_split_chunks(query) @ chunk_key.mT + masks.within_chunk).float().flatten(2, 3)
    weights = torch.cat([to_prefix, within_chunk], dim=-1).softmax(-1)
    to_prefix, within_chunk = weights[..., :length], _split_chunks(weights[..., length:])
    from_chunk = (within_chunk.to(value.dtype) @ chunk_value).flatten(2, 3)
    chunk_output = to_prefix.to(value.dtype) @ prefix_value + from_chunk
    output = torch.cat([prefix_output, chunk_output], dim=2).transpose(1, 2).flatten(2)
    return attention.o_proj(output), to_prefix


def _to_additive(is_visible: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(is_visible, dtype=torch.float32).masked_fill(~is_visible, _MASKED_SCORE)


def _split_heads(projected: torch.Tensor) -> torch.Tensor:
    """(n, length, 256) -> (n, heads, length, 64)"""
    heads: torch.Tensor = projected.unflatten(-1, (-1, HEAD_DIM)).transpose(1, 2)
    return heads


def _split_chunks(tokens: torch.Tensor) -> torch.Tensor:
    """(n, heads, chunks * chunk, …) -> (n, heads, chunks, chunk, …)"""
    chunks: torch.Tensor = tokens.unflatten(2, (-1, CHUNK_LENGTH))
    return chunks


def _rotate(heads: torch.Tensor, rotary: Rotary) -> torch.Tensor:
    """Apply Llama's rotary position embedding."""
    first, second = heads.chunk(2, dim=-1)
    rotated = heads * rotary.cos + torch.cat((-second, first), dim=-1) * rotary.sin
    return rotated.to(heads.dtype)
