"""Packed sequences collated into tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import torch

from training.model.architecture import NUM_IMAGE_TOKENS
from training.model.packing import CHUNK_LENGTH, MAX_CHUNKS, NO_ANSWER, PackedSequence
from training.model.tokenizer import PAD_ID

# The most tokens of a prefix, besides those of its images.
_MAX_PREFIX_TEXT: Final = 48
_PADDING_BLOCK: Final = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """n sequences with the same number of images.

    `prefix` is (n, p); `ids`, `positions`, `blocks` and `answers` are (n, chunks * chunk length).
    `guided_tokens` (m, 2) are a sequence and a token in it. `attention_targets` (m, p) are 1 at the
    prefix positions that the token should attend to. `images` are the scenes of all sequences in
    reading order. `answers` number the answers through the batch, `kinds` has the kind of each.
    """

    prefix: torch.Tensor
    ids: torch.Tensor
    positions: torch.Tensor
    blocks: torch.Tensor
    answers: torch.Tensor
    guided_tokens: torch.Tensor
    attention_targets: torch.Tensor
    images: tuple[int, ...]
    kinds: tuple[str, ...]

    def to(self, device: torch.device) -> "Batch":
        values: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        moved = {k: v.to(device) for k, v in values.items() if isinstance(v, torch.Tensor)}
        return Batch(**{**values, **moved})


def collate(sequences: Sequence[PackedSequence]) -> Batch:
    """Pad the sequences and number their answers through.

    All must have the same number of images. Raises `ValueError` for a prefix that is too long.
    """
    length = _MAX_PREFIX_TEXT + NUM_IMAGE_TOKENS * len(sequences[0].images)
    guided_tokens, attention_targets = _collate_targets(sequences, length)
    return Batch(
        prefix=torch.tensor([_pad(s.prefix, PAD_ID, length) for s in sequences]),
        ids=torch.tensor([_pad_chunks([c.ids for c in s.chunks], PAD_ID) for s in sequences]),
        positions=torch.tensor(
            [_pad_chunks([c.positions for c in s.chunks], 0) for s in sequences]
        ),
        blocks=torch.tensor(
            [_pad_chunks([c.blocks for c in s.chunks], _PADDING_BLOCK) for s in sequences]
        ),
        answers=torch.tensor(_number_answers(sequences)),
        guided_tokens=guided_tokens,
        attention_targets=attention_targets,
        images=tuple(image for s in sequences for image in s.images),
        kinds=tuple(kind for s in sequences for kind in s.kinds),
    )


def _number_answers(sequences: Sequence[PackedSequence]) -> list[list[int]]:
    """The chunks' answers, numbered through the batch instead of through each sequence."""
    rows: list[list[int]] = []
    offset = 0
    for sequence in sequences:
        chunks = [
            [answer if answer == NO_ANSWER else answer + offset for answer in chunk.answers]
            for chunk in sequence.chunks
        ]
        rows.append(_pad_chunks(chunks, NO_ANSWER))
        offset += len(sequence.kinds)
    return rows


def _collate_targets(
    sequences: Sequence[PackedSequence], length: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch's `guided_tokens` (m, 2) and `attention_targets` (m, length)."""
    rows = [(row, target) for row, s in enumerate(sequences) for target in s.attention_targets]
    targets = torch.zeros(len(rows), length)
    for index, (_, target) in enumerate(rows):
        targets[index, target.prefix_positions] = 1
    tokens = [(row, target.token) for row, target in rows]
    return torch.tensor(tokens, dtype=torch.long).view(-1, 2), targets


def _pad_chunks(chunks: list[list[int]], filler: int) -> list[int]:
    rows = [_pad(chunk, filler, CHUNK_LENGTH) for chunk in chunks]
    rows += [[filler] * CHUNK_LENGTH] * (MAX_CHUNKS - len(chunks))
    return [value for row in rows for value in row]


def _pad(values: list[int], filler: int, length: int) -> list[int]:
    if len(values) > length:
        raise ValueError(f"{len(values)} tokens where {length} fit")
    return values + [filler] * (length - len(values))
