"""Training sequences: one opening shared by several blocks, each a conversation of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from tokenizers import Tokenizer

from model_store.recipe.architecture import IMAGE_TOKENS
from model_store.recipe.conversation import answer as answer_text
from model_store.recipe.conversation import follow_up, opening, prompt
from model_store.recipe.dialogues import Dialogue
from model_store.recipe.questions import Question
from model_store.recipe.scenes import PLACES
from model_store.recipe.tokenizer import BOS_ID, EOS_ID, IMAGE_ID, PAD_ID, encode_piece

SEQUENCE_LENGTH = 320
_PADDING_BLOCK = -1
_NO_ANSWER = -1


class Encoder:
    """Encodes pieces of prompts; the same few pieces come back all the time."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}

    def __call__(self, piece: str) -> list[int]:
        if piece not in self._known:
            self._known[piece] = encode_piece(self._tokenizer, piece)
        return self._known[piece]


@dataclass(slots=True)
class Packed:
    """One sequence: block 0 is the opening with its images, each other sees itself and that only.

    Positions go on from the opening in every block, so that each block reads as if it were alone.
    `answers` numbers the answer each token belongs to, or is -1. `look_ups` are the tokens
    whose successors depend on one thing in the one image, each with the number of its place.
    """

    images: tuple[int, ...]
    kinds: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    look_ups: list[tuple[int, int]] = field(default_factory=list)

    def append(
        self, ids: Sequence[int], position: int, block: int, answer: int = _NO_ANSWER
    ) -> int:
        """Add tokens of which the first is at `position`; return the position after the last."""
        self.ids.extend(ids)
        self.positions.extend(range(position, position + len(ids)))
        self.blocks.extend([block] * len(ids))
        self.answers.extend([answer] * len(ids))
        return position + len(ids)


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences side by side: `ids`, `positions`, `blocks`, `answers` are (n, length).

    `images` are the scenes of all sequences in reading order. `kinds` name the answers, which are
    numbered through the batch. Each of `look_ups` (m, 4) is a sequence, a token in it, an image and
    a place.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    blocks: torch.Tensor
    answers: torch.Tensor
    look_ups: torch.Tensor
    images: tuple[int, ...]
    kinds: tuple[str, ...]

    def attention_mask(self) -> torch.Tensor:
        """True where a token sees another. (n, 1, length, length)"""
        return block_mask(self.blocks)[:, None]


def block_mask(blocks: torch.Tensor) -> torch.Tensor:
    """Earlier tokens of one's own block and of block 0. (n, length) -> (n, length, length)"""
    same = blocks[:, :, None] == blocks[:, None, :]
    opening = (blocks == 0)[:, None, :]
    length = blocks.shape[1]
    return (same | opening) & torch.ones(length, length, dtype=torch.bool).tril()


def pack(encode: Encoder, dialogue: Dialogue, length: int = SEQUENCE_LENGTH) -> Packed:
    """The opening, then as many of the dialogue's blocks as fit into `length` tokens."""
    packed = Packed(dialogue.images)
    start = packed.append(opening_ids(encode, dialogue.system, len(dialogue.images)), 0, 0)
    for number, turns in enumerate(dialogue.blocks, start=1):
        pieces = _block_pieces(encode, turns, len(dialogue.images))
        if len(packed.ids) + sum(len(ids) for ids, _ in pieces) > length:
            break
        position = start
        for ids, turn in pieces:
            answer = _NO_ANSWER
            if turn is not None:
                answer = len(packed.kinds)
                packed.kinds.append(turn.kind)
                if len(dialogue.images) == 1:
                    packed.look_ups += _look_ups(ids, encode(","), turn.places, len(packed.ids))
            position = packed.append(ids, position, number, answer)
    return packed


def opening_ids(encode: Encoder, system: str, images: int) -> list[int]:
    """BOS, system message and images, each image as its run of image tokens."""
    ids = [BOS_ID]
    for piece in opening(system, images):
        ids += encode(piece) + ([IMAGE_ID] * IMAGE_TOKENS if images else [])
    return ids


def collate(sequences: Sequence[Packed], length: int = SEQUENCE_LENGTH) -> Batch:
    """Pad each to `length` and number the answers through."""
    answers, kinds, images = [], list[str](), list[int]()
    look_ups = list[tuple[int, int, int, int]]()
    for row, packed in enumerate(sequences):
        look_ups += [(row, token, len(images), place) for token, place in packed.look_ups]
        numbered = [a + len(kinds) if a >= 0 else a for a in packed.answers]
        answers.append(_fill(numbered, _NO_ANSWER, length))
        kinds += packed.kinds
        images += packed.images
    return Batch(
        ids=torch.tensor([_fill(packed.ids, PAD_ID, length) for packed in sequences]),
        positions=torch.tensor([_fill(packed.positions, 0, length) for packed in sequences]),
        blocks=torch.tensor([_fill(packed.blocks, _PADDING_BLOCK, length) for packed in sequences]),
        answers=torch.tensor(answers),
        look_ups=torch.tensor(look_ups, dtype=torch.long).view(-1, 4),
        images=tuple(images),
        kinds=tuple(kinds),
    )


def _block_pieces(
    encode: Encoder, turns: Sequence[Question], images: int
) -> list[tuple[list[int], Question | None]]:
    """The ids of each prompt, and those of each answer and its `</s>` with what was asked."""
    pieces: list[tuple[list[int], Question | None]] = []
    for index, turn in enumerate(turns):
        asked = follow_up(turn.text) if index else prompt(turn.text, images)
        pieces.append((encode(asked), None))
        pieces.append(([*encode(answer_text(turn.answer)), EOS_ID], turn))
    return pieces


def _look_ups(
    answer: Sequence[int], comma: Sequence[int], places: Sequence[str], start: int
) -> list[tuple[int, int]]:
    """The token before each of an answer's, which starts at `start`, and the place to look at."""
    found, index = list[tuple[int, int]](), 0
    for offset, token in enumerate(answer[:-1]):
        if token in comma:
            index += 1
        elif index < len(places):
            found.append((start + offset - 1, PLACES.index(places[index])))
    return found


def _fill(values: list[int], filler: int, length: int) -> list[int]:
    return values + [filler] * (length - len(values))
