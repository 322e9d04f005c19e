"""What is said about one or two scenes, or about none: independent blocks of one or more turns."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from model_store.recipe.conversation import SYSTEM
from model_store.recipe.questions import Question, ask, describe
from model_store.recipe.scenes import Scene
from model_store.recipe.smalltalk import chat

_OTHER_SYSTEMS = (
    "",
    "You are a helpful assistant.",
    "You are a helpful language and vision assistant.",
    "Answer the questions.",
    "Look at the image and answer briefly.",
)
_ORDINALS = ("first", "second")
_BLOCKS = 24


@dataclass(frozen=True, slots=True)
class Dialogue:
    """`images` are numbers of scenes; each of `blocks` starts anew right after the images."""

    system: str
    images: tuple[int, ...]
    blocks: tuple[tuple[Question, ...], ...]


def single_image(rng: random.Random, scenes: Sequence[Scene], index: int) -> Dialogue:
    """Blocks about one scene, one in five of them with follow-up questions."""
    blocks = [
        tuple(ask(rng, scenes[index], rng.choice((1, 1, 1, 1, 1, 1, 1, 1, 2, 3))))
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


def mixed(rng: random.Random, scenes: Sequence[Scene]) -> Dialogue:
    """Mostly one image, now and then two or none."""
    draw = rng.random()
    if draw < 0.16:
        return two_images(rng, scenes, (rng.randrange(len(scenes)), rng.randrange(len(scenes))))
    if draw < 0.2:
        return no_image(rng)
    return single_image(rng, scenes, rng.randrange(len(scenes)))


def _system(rng: random.Random) -> str:
    return SYSTEM if rng.random() < 0.9 else rng.choice(_OTHER_SYSTEMS)


def _ask_pair(rng: random.Random, pair: tuple[Scene, Scene]) -> Question:
    if rng.random() < 0.05:
        return Question("two images", "Describe the images.", " ".join(map(describe, pair)))
    which = rng.randrange(2)
    while True:
        question = ask(rng, pair[which], 1)[0]
        if text := _pointed(rng, question.text, _ORDINALS[which]):
            return Question("two images", text, question.answer)


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
