"""Captions of a scene, short and detailed: every thing in reading order."""

import random

from training.data.grammar import count_noun, with_article
from training.data.question import AnswerPart, Question
from training.data.question_templates import DESCRIBE_TEMPLATES, DETAIL_TEMPLATES
from training.data.scenes import Scene, Thing


def describe(scene: Scene) -> str:
    """The short caption as text: every thing with its place, in one sentence."""
    return "".join(part.text for part in build_caption(scene))


def write_captions(scene: Scene) -> list[str]:
    """The short and the detailed caption, as texts."""
    return [describe(scene), "".join(part.text for part in build_detailed_caption(scene))]


def build_caption(scene: Scene) -> tuple[AnswerPart, ...]:
    """`A red circle at the top left, a blue star at the center.`"""
    names = [thing.name for thing in scene.things]
    first, *others = _list_things(scene.things, names)
    return (AnswerPart(first.text[0].upper() + first.text[1:], first.places), *others)


def build_detailed_caption(scene: Scene) -> tuple[AnswerPart, ...]:
    """The number of things and the background, then the caption with sizes."""
    things = count_noun(len(scene.things), "thing")
    names = [
        f"{thing.size} {thing.name}" if thing.is_shape else thing.name for thing in scene.things
    ]
    start = AnswerPart(f"The image shows {things} on a {scene.ground.name} background:")
    first, *others = _list_things(scene.things, names)
    return (start, AnswerPart(f" {first.text}", first.places), *others)


def sample_description_question(rng: random.Random, scene: Scene) -> Question:
    return Question("describe", _sample_text(rng, DESCRIBE_TEMPLATES), build_caption(scene))


def sample_detail_question(rng: random.Random, scene: Scene) -> Question:
    return Question("detail", _sample_text(rng, DETAIL_TEMPLATES), build_detailed_caption(scene))


def _list_things(things: tuple[Thing, ...], names: list[str]) -> list[AnswerPart]:
    parts = [
        AnswerPart(f"{with_article(name)} at the {thing.place}", (thing.place,))
        for thing, name in zip(things, names, strict=True)
    ]
    others = [AnswerPart(f", {part.text}", part.places) for part in parts[1:]]
    return [parts[0], *others, AnswerPart(".")]


def _sample_text(rng: random.Random, texts: tuple[str, ...]) -> str:
    """The first text half of the time, else any of them."""
    return texts[0] if rng.random() < 0.5 else rng.choice(texts)
