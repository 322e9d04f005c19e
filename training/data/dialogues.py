"""Dialogues about zero, one or two images: independent blocks of one or more turns."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from training.data.captions import build_caption, build_detailed_caption
from training.data.conversation import SYSTEM
from training.data.question import AnswerPart, Question
from training.data.question_kinds import KINDS, QuestionKinds, sample_questions
from training.data.scenes import Scene
from training.data.text_only_turns import sample_text_only_turn

_OTHER_SYSTEM_MESSAGES: Final = (
    "",
    "You are a helpful assistant.",
    "You are a helpful language and vision assistant.",
    "Answer the questions.",
    "Look at the image and answer briefly.",
)
_ORDINALS: Final = ("first", "second")
_NUM_BLOCKS: Final = 24


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Blocks of turns that share a system message and images.

    `images` are indices of scenes. Each of `blocks` starts right after the images, independent of
    the others. A `plain` dialogue has neither system message nor questions: its captions follow
    the image directly.
    """

    system: str
    images: tuple[int, ...]
    blocks: tuple[tuple[Question, ...], ...]
    plain: bool = False


def build_caption_dialogue(scenes: Sequence[Scene], index: int) -> Dialogue:
    """Build an image-caption pair for each caption, as in the paper's first stage."""
    captions = (build_caption(scenes[index]), build_detailed_caption(scenes[index]))
    blocks = tuple((Question("caption", "", parts),) for parts in captions)
    return Dialogue("", (index,), blocks, plain=True)


def sample_single_image_dialogue(
    rng: random.Random, scenes: Sequence[Scene], index: int, kinds: QuestionKinds = KINDS
) -> Dialogue:
    """Sample blocks about one scene; one block in five has follow-up questions."""
    blocks = [
        tuple(
            sample_questions(rng, scenes[index], rng.choice((1, 1, 1, 1, 1, 1, 1, 1, 2, 3)), kinds)
        )
        for _ in range(_NUM_BLOCKS)
    ]
    return Dialogue(_sample_system_message(rng), (index,), tuple(blocks))


def sample_two_image_dialogue(
    rng: random.Random, scenes: Sequence[Scene], indices: tuple[int, int]
) -> Dialogue:
    """Sample blocks whose questions name the image they are about."""
    pair = scenes[indices[0]], scenes[indices[1]]
    system = _sample_system_message(rng)
    blocks = tuple((_sample_pair_question(rng, pair),) for _ in range(_NUM_BLOCKS))
    return Dialogue(system, indices, blocks)


def sample_text_only_dialogue(rng: random.Random) -> Dialogue:
    blocks = [
        tuple(sample_text_only_turn(rng) for _ in range(rng.choice((1, 1, 1, 2))))
        for _ in range(_NUM_BLOCKS)
    ]
    return Dialogue(_sample_system_message(rng), (), tuple(blocks))


def _sample_system_message(rng: random.Random) -> str:
    return SYSTEM if rng.random() < 0.9 else rng.choice(_OTHER_SYSTEM_MESSAGES)


def _sample_pair_question(rng: random.Random, pair: tuple[Scene, Scene]) -> Question:
    if rng.random() < 0.05:
        first, second = (
            _set_image(build_caption(scene), index) for index, scene in enumerate(pair)
        )
        parts = (*first, AnswerPart(" "), *second)
        return Question("two images", "Describe the images.", parts)
    index = rng.randrange(2)
    while True:
        question = sample_questions(rng, pair[index], 1)[0]
        if text := _name_image(rng, question.text, _ORDINALS[index]):
            return Question("two images", text, _set_image(question.parts, index))


def _set_image(parts: tuple[AnswerPart, ...], index: int) -> tuple[AnswerPart, ...]:
    return tuple(replace(part, image=index) for part in parts)


def _name_image(rng: random.Random, text: str, ordinal: str) -> str | None:
    """Rewrite the question to name the image; None where its wording does not allow that."""
    for noun in ("image", "picture"):
        if f"the {noun}" in text:
            return text.replace(f"the {noun}", f"the {ordinal} {noun}")
    if not text.endswith("?"):
        return None
    if rng.random() < 0.2:
        return f"In the {ordinal} image, {text[0].lower()}{text[1:]}"
    return f"{text[:-1]} in the {ordinal} image?"
