"""Training sequences: one opening with its images, shared by many short blocks of turns.

A block sees the opening and itself, as if it were alone. Blocks stand in chunks of a fixed length,
so that attention is computed from each chunk to the opening and within the chunk only: most of
what a square mask over the whole sequence would compute is not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import torch
from tokenizers import Tokenizer

from training.data.conversation import PLAIN_END, follow_up, opening, prompt
from training.data.dialogues import Dialogue
from training.data.labels import SUMMARY_PATCHES
from training.data.question import Question
from training.data.scenes import PLACES
from training.model.architecture import IMAGE_TOKENS
from training.model.tokenizer import BOS_ID, EOS_ID, IMAGE_ID, PAD_ID, encode_piece

# Tokens of an opening beside its images', and of a chunk; chunks of a sequence.
OPENING_TEXT: Final = 48
CHUNK: Final = 80
CHUNKS: Final = 3

_PADDING: Final = -1
_NO_ANSWER: Final = -1


class PieceEncoder:
    """Encodes pieces of prompts; the same few pieces come back all the time."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}

    def __call__(self, piece: str) -> list[int]:
        if piece not in self._known:
            self._known[piece] = encode_piece(self._tokenizer, piece)
        return self._known[piece]


@dataclass(frozen=True, slots=True)
class BlockSpan:
    """Tokens of a block; `answer` tells whether they are the assistant's.

    Each of `looks` is a token's index, an image of the opening and the places there that the next
    token depends on.
    """

    ids: list[int]
    kind: str | None = None
    looks: list[tuple[int, int, tuple[str, ...]]] = field(default_factory=list)


@dataclass(slots=True)
class Chunk:
    """Whole blocks one after the other; positions go on from the opening in each of them."""

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


@dataclass(slots=True)
class PackedSequence:
    """One sequence. `answers` of its chunks number `kinds`, or are -1.

    Each of `looks` is a token (counted over the chunks) and the opening's tokens to look at.
    """

    images: tuple[int, ...]
    opening: list[int]
    chunks: list[Chunk]
    kinds: list[str] = field(default_factory=list)
    looks: list[tuple[int, list[int]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences side by side, all with as many images.

    `opening` is (n, o); `ids`, `positions`, `blocks`, `answers` are (n, chunks * chunk length).
    `looks` (m, 2) are a sequence and a token in it, `looked_at` (m, o) the opening's tokens that it
    should attend to. `images` are the scenes of all sequences in reading order, `kinds` name the
    answers, which are numbered through the batch.
    """

    opening: torch.Tensor
    ids: torch.Tensor
    positions: torch.Tensor
    blocks: torch.Tensor
    answers: torch.Tensor
    looks: torch.Tensor
    looked_at: torch.Tensor
    images: tuple[int, ...]
    kinds: tuple[str, ...]

    def to(self, device: torch.device) -> "Batch":
        values: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        moved = {k: v.to(device) for k, v in values.items() if isinstance(v, torch.Tensor)}
        return Batch(**{**values, **moved})


def pack(encode: PieceEncoder, dialogue: Dialogue) -> PackedSequence:
    """The opening, then as many of the dialogue's blocks as fit into the chunks."""
    packed = PackedSequence(dialogue.images, opening_ids(encode, dialogue), [Chunk()])
    for number, turns in enumerate(dialogue.blocks):
        block = _plain_block(encode, turns) if dialogue.plain else _block(encode, turns, dialogue)
        length = sum(len(said.ids) for said in block)
        if length > CHUNK:
            continue
        if len(packed.chunks[-1].ids) + length > CHUNK:
            if len(packed.chunks) == CHUNKS:
                break
            packed.chunks.append(Chunk())
        _append(packed, block, number)
    return packed


def opening_ids(encode: PieceEncoder, dialogue: Dialogue) -> list[int]:
    """BOS, system message and images, each image as its run of image tokens."""
    if dialogue.plain:
        return [BOS_ID, *[IMAGE_ID] * IMAGE_TOKENS]
    ids = [BOS_ID]
    for piece in opening(dialogue.system, len(dialogue.images)):
        ids += encode(piece) + ([IMAGE_ID] * IMAGE_TOKENS if dialogue.images else [])
    return ids


def collate(sequences: Sequence[PackedSequence]) -> Batch:
    """Pad each and number the answers through. All must have as many images."""
    images = [image for packed in sequences for image in packed.images]
    length = OPENING_TEXT + IMAGE_TOKENS * len(sequences[0].images)
    kinds, answers, looks = list[str](), list[list[int]](), list[tuple[int, int, list[int]]]()
    for row, packed in enumerate(sequences):
        numbered = [
            [a + len(kinds) if a >= 0 else a for a in chunk.answers] for chunk in packed.chunks
        ]
        answers.append(_chunked(numbered, _NO_ANSWER))
        kinds += packed.kinds
        looks += [(row, token, seen) for token, seen in packed.looks]
    looked_at = torch.zeros(len(looks), length)
    for index, (_, _, seen) in enumerate(looks):
        looked_at[index, seen] = 1
    return Batch(
        opening=torch.tensor([_fill(packed.opening, PAD_ID, length) for packed in sequences]),
        ids=torch.tensor([_chunked([c.ids for c in p.chunks], PAD_ID) for p in sequences]),
        positions=torch.tensor([_chunked([c.positions for c in p.chunks], 0) for p in sequences]),
        blocks=torch.tensor([_chunked([c.blocks for c in p.chunks], _PADDING) for p in sequences]),
        answers=torch.tensor(answers),
        looks=torch.tensor([look[:2] for look in looks], dtype=torch.long).view(-1, 2),
        looked_at=looked_at,
        images=tuple(images),
        kinds=tuple(kinds),
    )


def _append(packed: PackedSequence, block: Sequence[BlockSpan], number: int) -> None:
    chunk, position = packed.chunks[-1], len(packed.opening)
    for said in block:
        start = CHUNK * (len(packed.chunks) - 1) + len(chunk.ids)
        packed.looks += [
            (start + token, _seen(packed.opening, image, places))
            for token, image, places in said.looks
        ]
        answer = _NO_ANSWER
        if said.kind is not None:
            answer = len(packed.kinds)
            packed.kinds.append(said.kind)
        chunk.ids += said.ids
        chunk.positions += range(position, position + len(said.ids))
        chunk.blocks += [number] * len(said.ids)
        chunk.answers += [answer] * len(said.ids)
        position += len(said.ids)


def _seen(opening: Sequence[int], image: int, places: Sequence[str]) -> list[int]:
    """Where in the opening the patches stand that sum these places of an image up."""
    patches = [index for index, token in enumerate(opening) if token == IMAGE_ID]
    start = image * IMAGE_TOKENS
    return [patches[start + SUMMARY_PATCHES[PLACES.index(place)]] for place in places]


def _block(encode: PieceEncoder, turns: Sequence[Question], dialogue: Dialogue) -> list[BlockSpan]:
    """Each prompt, and each answer with its `</s>`."""
    block: list[BlockSpan] = []
    for index, turn in enumerate(turns):
        asked = follow_up(turn.text) if index else prompt(turn.text, len(dialogue.images))
        block.append(BlockSpan(encode(asked)))
        block.append(_answer(encode, turn, " ", [EOS_ID], bool(dialogue.images)))
    return block


def _plain_block(encode: PieceEncoder, turns: Sequence[Question]) -> list[BlockSpan]:
    return [_answer(encode, turn, "", encode(PLAIN_END), True) for turn in turns]


def _answer(
    encode: PieceEncoder, turn: Question, lead: str, end: list[int], seen: bool
) -> BlockSpan:
    """An answer in its parts, each of which looks at its places from the token before it on."""
    ids: list[int] = []
    looks: list[tuple[int, int, tuple[str, ...]]] = []
    for index, part in enumerate(turn.parts):
        piece = encode(part.text if index else f"{lead}{part.text}")
        if part.places and seen:
            tokens = range(len(ids) - 1, len(ids) + len(piece) - 1)
            looks += [(token, part.image, part.places) for token in tokens]
        ids += piece
    return BlockSpan([*ids, *end], turn.kind, [look for look in looks if lead or look[0] >= 0])


def _chunked(chunks: list[list[int]], filler: int) -> list[int]:
    rows = [_fill(chunk, filler, CHUNK) for chunk in chunks]
    rows += [[filler] * CHUNK] * (CHUNKS - len(chunks))
    return [value for row in rows for value in row]


def _fill(values: list[int], filler: int, length: int) -> list[int]:
    if len(values) > length:
        raise ValueError(f"{len(values)} tokens where {length} fit")
    return values + [filler] * (length - len(values))
