"""The tokenizer's training corpus: conversations about random scenes."""

import random
from collections.abc import Iterator

from training.data.conversation import (
    SYSTEM,
    build_answer,
    build_first_prompt,
    build_follow_up_prompt,
    build_prefix_segments,
)
from training.data.question_kinds import sample_questions
from training.data.sampling import sample_scene
from training.data.text_only_turns import sample_text_only_turn

_GENERAL = (
    "You are a helpful assistant. You are a helpful language and vision assistant. "
    "Answer the questions. The quick brown fox jumps over the lazy dog. Look at the first image "
    "and the second image and tell me which one shows more shapes, and what color they are."
)


def sample_corpus(seed: int, count: int) -> Iterator[str]:
    """Yield the texts of `count` conversations, in the proportion in which prompts hold them.

    Every conversation has the system message.
    """
    rng = random.Random(seed)
    for _ in range(count):
        scene = sample_scene(rng)
        yield from (*build_prefix_segments(SYSTEM, 1), _GENERAL)
        for question in sample_questions(rng, scene, 10):
            yield from (build_first_prompt(question.text, 1), build_answer(question.answer))
            yield build_follow_up_prompt(question.text)
        turn = sample_text_only_turn(rng)
        yield from (build_first_prompt(turn.text, 0), build_answer(turn.answer))
