"""What the tokenizer is trained on: conversations about random scenes."""

import random
from collections.abc import Iterator

from training.data.conversation import SYSTEM, answer, follow_up, opening, prompt
from training.data.question_kinds import ask
from training.data.sampling import sample_scene
from training.data.text_only_turns import chat

_GENERAL = (
    "You are a helpful assistant. You are a helpful language and vision assistant. "
    "Answer the questions. The quick brown fox jumps over the lazy dog. Look at the first image "
    "and the second image and tell me which one shows more shapes, and what color they are."
)


def conversations(seed: int, count: int) -> Iterator[str]:
    """Texts in the proportion in which prompts hold them: the system message in every one."""
    rng = random.Random(seed)
    for _ in range(count):
        scene = sample_scene(rng)
        yield from (*opening(SYSTEM, 1), _GENERAL)
        for question in ask(rng, scene, 10):
            yield from (prompt(question.text, 1), answer(question.answer))
            yield follow_up(question.text)
        small = chat(rng)
        yield from (prompt(small.text, 0), answer(small.answer))
