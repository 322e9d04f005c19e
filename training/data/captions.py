"""Captions and descriptions of a scene: every thing in reading order."""

import random

from training.data.question import Part, Question
from training.data.question_templates import DESCRIBE, DETAIL, a, number_of
from training.data.scenes import Scene, Thing


def describe(scene: Scene) -> str:
    """Every thing with its place, as one sentence."""
    return "".join(part.text for part in caption(scene))


def captions_of(scene: Scene) -> list[str]:
    """A short caption and a thorough one."""
    return [describe(scene), "".join(part.text for part in detail(scene))]


def caption(scene: Scene) -> tuple[Part, ...]:
    """`A red circle at the top left, a blue star at the center.`"""
    names = [f"{thing.color} {thing.noun}" for thing in scene.things]
    first, *others = _listed(scene.things, names)
    return (Part(first.text[0].upper() + first.text[1:], first.places), *others)


def detail(scene: Scene) -> tuple[Part, ...]:
    """The caption with sizes, behind the number of things and the background."""
    things = number_of(len(scene.things), "thing")
    names = [
        f"{thing.size} {thing.color} {thing.noun}"
        if thing.is_shape
        else f"{thing.color} {thing.noun}"
        for thing in scene.things
    ]
    start = Part(f"The image shows {things} on a {scene.ground.name} background:")
    first, *others = _listed(scene.things, names)
    return (start, Part(f" {first.text}", first.places), *others)


def _listed(things: tuple[Thing, ...], names: list[str]) -> list[Part]:
    parts = [
        Part(f"{a(name)} at the {thing.place}", (thing.place,))
        for thing, name in zip(things, names, strict=True)
    ]
    rest = [Part(f", {part.text}", part.places) for part in parts[1:]]
    return [parts[0], *rest, Part(".")]


def ask_describe(rng: random.Random, scene: Scene) -> Question:
    text = DESCRIBE[0] if rng.random() < 0.5 else rng.choice(DESCRIBE)
    return Question("describe", text, caption(scene))


def ask_detail(rng: random.Random, scene: Scene) -> Question:
    text = DETAIL[0] if rng.random() < 0.5 else rng.choice(DETAIL)
    return Question("detail", text, detail(scene))
