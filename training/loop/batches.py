"""Samples a step's batch of packed dialogues."""

import random
from collections.abc import Callable, Sequence

from training.data.dialogues import (
    Dialogue,
    build_caption_dialogue,
    sample_single_image_dialogue,
    sample_text_only_dialogue,
    sample_two_image_dialogue,
)
from training.data.question_kinds import INSTRUCTION_KINDS, KINDS, QuestionKinds
from training.data.scenes import Scene
from training.model.batch import Batch, collate
from training.model.packing import pack
from training.model.tokenizer import CachedTokenizer

# (encode, scenes, batch size, seed) -> batch.
BatchSampler = Callable[[CachedTokenizer, Sequence[Scene], int, int], Batch]


def sample_caption_batch(
    encode: CachedTokenizer, scenes: Sequence[Scene], batch_size: int, seed: int
) -> Batch:
    """Image-caption pairs: the paper's stage 1."""
    rng = random.Random(seed)
    dialogues = [
        build_caption_dialogue(scenes, _sample_index(rng, scenes)) for _ in range(batch_size)
    ]
    return collate([pack(encode, dialogue) for dialogue in dialogues])


def sample_instruction_batch(
    encode: CachedTokenizer, scenes: Sequence[Scene], batch_size: int, seed: int
) -> Batch:
    """Conversations, mostly about one image, sometimes about two or none: the paper's stage 2."""
    return _sample_conversations(encode, scenes, batch_size, seed, INSTRUCTION_KINDS)


def sample_language_batch(
    encode: CachedTokenizer, scenes: Sequence[Scene], batch_size: int, seed: int
) -> Batch:
    """Conversations, and captions in one batch of eight: the decoder's pretraining."""
    if seed % 8 == 0:
        return sample_caption_batch(encode, scenes, batch_size, seed)
    return _sample_conversations(encode, scenes, batch_size, seed, KINDS)


def _sample_conversations(
    encode: CachedTokenizer,
    scenes: Sequence[Scene],
    batch_size: int,
    seed: int,
    kinds: QuestionKinds,
) -> Batch:
    rng = random.Random(seed)
    sample_dialogue = _choose_dialogue_sampler(rng, scenes, kinds)
    return collate([pack(encode, sample_dialogue()) for _ in range(batch_size)])


def _choose_dialogue_sampler(
    rng: random.Random, scenes: Sequence[Scene], kinds: QuestionKinds
) -> Callable[[], Dialogue]:
    """Choose the number of images, which all sequences of a batch share: it sets their length."""
    draw = rng.random()
    if draw < 0.05:
        return lambda: sample_text_only_dialogue(rng)
    if draw < 0.17:
        return lambda: sample_two_image_dialogue(
            rng, scenes, (_sample_index(rng, scenes), _sample_index(rng, scenes))
        )
    return lambda: sample_single_image_dialogue(rng, scenes, _sample_index(rng, scenes), kinds)


def _sample_index(rng: random.Random, scenes: Sequence[Scene]) -> int:
    return rng.randrange(len(scenes))
