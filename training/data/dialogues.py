"""What is said about one or two scenes, or about none: independent blocks of one or more turns."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from training.data.captions import caption, detail
from training.data.conversation import SYSTEM
from training.data.question import Part, Question
from training.data.question_kinds import KINDS, Kinds, ask
from training.data.scenes import Scene
from training.data.text_only_turns import chat

_OTHER_SYSTEMS: Final = (
    "",
    "You are a helpful assistant.",
    "You are a helpful language and vision assistant.",
    "Answer the questions.",
    "Look at the image and answer briefly.",
)
_ORDINALS: Final = ("first", "second")
_BLOCKS: Final = 24


@dataclass(frozen=True, slots=True)
class Dialogue:
    """`images` are numbers of scenes; each of `blocks` starts anew right after the images.

    A `plain` one has neither system message nor questions: captions follow the image at once.
    """

    system: str
    images: tuple[int, ...]
    blocks: tuple[tuple[Question, ...], ...]
    plain: bool = False


def captioned(scenes: Sequence[Scene], index: int) -> Dialogue:
    """An image and its captions, as in the paper's first stage."""
    captions = (caption(scenes[index]), detail(scenes[index]))
    blocks = tuple((Question("caption", "", parts),) for parts in captions)
    return Dialogue("", (index,), blocks, plain=True)


def single_image(
    rng: random.Random, scenes: Sequence[Scene], index: int, kinds: Kinds = KINDS
) -> Dialogue:
    """Blocks about one scene, one in five of them with follow-up questions."""
    blocks = [
        tuple(ask(rng, scenes[index], rng.choice((1, 1, 1, 1, 1, 1, 1, 1, 2, 3)), kinds))
        for _ in range(_BLOCKS)
    ]
    return Dialogue(_system(rng), (index,), tuple(blocks))


def two_images(rng: random.Random, scenes: Sequence[Scene], indices: tuple[int, int]) -> Dialogue:
    """Blocks that name the image they ask about."""
    pair = scenes[indices[0]], scenes[indices[1]]
    return Dialogue(_system(rng), indices, tuple((_ask_pair(rng, pair),) for _ in range(_BLOCKS)))


def no_image(rng: random.Random) -> Dialogue:
    blocks = [tuple(chat(rng) for _ in range(rng.choice((1, 1, 1, 2)))) for _ in range(_BLOCKS)]
    return Dialogue(_system(rng), (), tuple(blocks))


def _system(rng: random.Random) -> str:
    return SYSTEM if rng.random() < 0.9 else rng.choice(_OTHER_SYSTEMS)


def _ask_pair(rng: random.Random, pair: tuple[Scene, Scene]) -> Question:
    if rng.random() < 0.05:
        first, second = (_in_image(which, caption(scene)) for which, scene in enumerate(pair))
        return Question("two images", "Describe the images.", (*first, Part(" "), *second))
    which = rng.randrange(2)
    while True:
        question = ask(rng, pair[which], 1)[0]
        if text := _pointed(rng, question.text, _ORDINALS[which]):
            return Question("two images", text, _in_image(which, question.parts))


def _in_image(which: int, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    return tuple(replace(part, image=which) for part in parts)


def _pointed(rng: random.Random, text: str, ordinal: str) -> str | None:
    """The question about the ordinal image, where it can be put so."""
    for noun in ("image", "picture"):
        if f"the {noun}" in text:
            return text.replace(f"the {noun}", f"the {ordinal} {noun}")
    if not text.endswith("?"):
        return None
    if rng.random() < 0.2:
        return f"In the {ordinal} image, {text[0].lower()}{text[1:]}"
    return f"{text[:-1]} in the {ordinal} image?"
