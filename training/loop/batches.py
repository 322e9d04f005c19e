"""Batches of packed dialogues: which conversations a step learns from."""

import random
from collections.abc import Callable, Sequence

from training.data.dialogues import (
    Dialogue,
    captioned,
    no_image,
    single_image,
    two_images,
)
from training.data.question_kinds import INSTRUCTIONS, KINDS, Kinds
from training.data.scenes import Scene
from training.loop.distributed import own_seed, share
from training.model.packing import Batch, PieceEncoder, collate, pack

# The batch of a step of `size` sequences.
BatchSampler = Callable[[PieceEncoder, Sequence[Scene], int, int], Batch]


def captions(encode: PieceEncoder, scenes: Sequence[Scene], size: int, seed: int) -> Batch:
    """Images with their captions: stage 1."""
    rng = random.Random(seed + own_seed())
    dialogues = [captioned(scenes, rng.randrange(len(scenes))) for _ in range(share(size))]
    return collate([pack(encode, dialogue) for dialogue in dialogues])


def instructions(encode: PieceEncoder, scenes: Sequence[Scene], size: int, seed: int) -> Batch:
    """Conversations, mostly about one image, now and then about two or none: stage 2."""
    return _conversations(encode, scenes, size, seed, INSTRUCTIONS)


def language(encode: PieceEncoder, scenes: Sequence[Scene], size: int, seed: int) -> Batch:
    """What the decoder knows before it sees: conversations, and captions now and then."""
    if seed % 8 == 0:
        return captions(encode, scenes, size, seed)
    return _conversations(encode, scenes, size, seed, KINDS)


def _conversations(
    encode: PieceEncoder, scenes: Sequence[Scene], size: int, seed: int, kinds: Kinds
) -> Batch:
    rng = random.Random(seed + own_seed())
    make = _make_dialogue(rng, scenes, kinds)
    return collate([pack(encode, make()) for _ in range(share(size))])


def _make_dialogue(
    rng: random.Random, scenes: Sequence[Scene], kinds: Kinds
) -> Callable[[], Dialogue]:
    """All of a batch show as many images: their sequences are as long as each other."""
    draw = rng.random()
    if draw < 0.05:
        return lambda: no_image(rng)
    if draw < 0.17:
        return lambda: two_images(rng, scenes, (_some(rng, scenes), _some(rng, scenes)))
    return lambda: single_image(rng, scenes, _some(rng, scenes), kinds)


def _some(rng: random.Random, scenes: Sequence[Scene]) -> int:
    return rng.randrange(len(scenes))
