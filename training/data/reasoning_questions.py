"""Questions that need several look-ups: answers state their reasons, as the paper's do."""

import random

from training.data.grammar import count_noun, join_nouns, pluralise
from training.data.question import AnswerPart, Question
from training.data.question_templates import (
    ABOVE_TEMPLATES,
    BELOW_TEMPLATES,
    COUNT_IF_TEMPLATES,
    LARGER_TEMPLATES,
    LEFT_OF_TEMPLATES,
    MISSING_TEMPLATES,
    MORE_TEMPLATES,
    RIGHT_OF_TEMPLATES,
    SMALLER_TEMPLATES,
    fill_template,
)
from training.data.scenes import COLORS, PLACES, SHAPES, SIZES, Scene, Thing
from training.data.simple_questions import QuestionSampler, list_places

_ROWS = ("top", "middle", "bottom")


def _sample_distinct_pair(rng: random.Random, scene: Scene) -> tuple[Thing, Thing] | None:
    """Sample two shapes that colour and noun identify; None where there are fewer."""
    candidates = [t for t in scene.shapes if len(scene.find(t.color, t.noun)) == 1]
    if len(candidates) < 2:
        return None
    one, other = rng.sample(candidates, 2)
    return one, other


def _build_conclusion(holds: bool) -> AnswerPart:
    return AnswerPart(", so yes." if holds else ", so no.")


def _sample_larger_question(rng: random.Random, scene: Scene) -> Question | None:
    """Answers: `The {one} is large and the {other} is small, so the {one}.`"""
    pair = _sample_distinct_pair(rng, scene)
    if pair is None or pair[0].size == pair[1].size:
        return None
    (one, other), larger = pair, rng.random() < 0.7
    by_size = sorted(pair, key=lambda thing: SIZES.index(thing.size), reverse=larger)
    text = fill_template(
        rng, LARGER_TEMPLATES if larger else SMALLER_TEMPLATES, one=one.name, other=other.name
    )
    parts = (
        AnswerPart(f"The {one.name} is {one.size}", (one.place,)),
        AnswerPart(f" and the {other.name} is {other.size}", (other.place,)),
        AnswerPart(f", so the {by_size[0].name}."),
    )
    return Question("compare sizes", text, parts)


def _sample_more_question(rng: random.Random, scene: Scene) -> Question | None:
    """Answers: `There are 2 circles and 1 square, so yes.`"""
    present = sorted({thing.noun for thing in scene.shapes})
    if not present:
        return None
    one = rng.choice(present)
    other = rng.choice([shape for shape in SHAPES if shape != one])
    if rng.random() < 0.5:
        one, other = other, one
    ones, others = scene.find(noun=one), scene.find(noun=other)
    text = fill_template(rng, MORE_TEMPLATES, ones=pluralise(one), others=pluralise(other))
    be = "is" if len(ones) == 1 else "are"
    parts = (
        AnswerPart(f"There {be} {count_noun(len(ones), one)}", list_places(ones)),
        AnswerPart(f" and {count_noun(len(others), other)}", list_places(others)),
        _build_conclusion(len(ones) > len(others)),
    )
    return Question("compare counts", text, parts)


def _sample_count_if_question(rng: random.Random, scene: Scene) -> Question | None:
    selectors = (_select_two_colors, _exclude_color, _select_size, _select_row)
    condition, matches = rng.choice(selectors)(rng, scene)
    text = fill_template(rng, COUNT_IF_TEMPLATES, condition=condition)
    if not matches:
        return Question("count if", text, (AnswerPart("None of them, so 0."),))
    names = [f"the {thing.name}" for thing in matches]
    parts = [AnswerPart(names[0][0].upper() + names[0][1:], (matches[0].place,))]
    for index, thing in enumerate(matches[1:], start=2):
        comma = " and" if index == len(matches) else ","
        parts.append(AnswerPart(f"{comma} {names[index - 1]}", (thing.place,)))
    return Question("count if", text, (*parts, AnswerPart(f", so {len(matches)}.")))


def _select_two_colors(rng: random.Random, scene: Scene) -> tuple[str, tuple[Thing, ...]]:
    present = [thing.color for thing in scene.shapes]
    candidates = [*rng.sample(present, min(len(present), 1)), *rng.sample(COLORS, 2)]
    colors = list(dict.fromkeys(candidates))
    one, other = rng.sample(colors[:2], 2)
    matches = tuple(thing for thing in scene.shapes if thing.color in (one, other))
    return f"{one} or {other}", matches


def _exclude_color(rng: random.Random, scene: Scene) -> tuple[str, tuple[Thing, ...]]:
    color = rng.choice(scene.things).color if rng.random() < 0.8 else rng.choice(COLORS)
    return f"not {color}", tuple(thing for thing in scene.shapes if thing.color != color)


def _select_size(rng: random.Random, scene: Scene) -> tuple[str, tuple[Thing, ...]]:
    size = rng.choice(SIZES)
    return size, tuple(thing for thing in scene.shapes if thing.size == size)


def _select_row(rng: random.Random, scene: Scene) -> tuple[str, tuple[Thing, ...]]:
    number = rng.randrange(3)
    matches = tuple(t for t in scene.shapes if PLACES.index(t.place) // 3 == number)
    return f"in the {_ROWS[number]} row", matches


def _sample_relative_question(rng: random.Random, scene: Scene) -> Question | None:
    """Answers: `The {one} is at the top left and the {other} is at the center, so yes.`"""
    pair = _sample_distinct_pair(rng, scene)
    if pair is None:
        return None
    one, other = pair
    across = rng.random() < 0.5
    ranks = [_find_grid_index(thing, across) for thing in pair]
    if ranks[0] == ranks[1]:
        return None
    before = rng.random() < 0.5
    templates = (
        (LEFT_OF_TEMPLATES if before else RIGHT_OF_TEMPLATES)
        if across
        else (ABOVE_TEMPLATES if before else BELOW_TEMPLATES)
    )
    text = fill_template(rng, templates, one=one.name, other=other.name)
    parts = (
        AnswerPart(f"The {one.name} is at the {one.place}", (one.place,)),
        AnswerPart(f" and the {other.name} is at the {other.place}", (other.place,)),
        _build_conclusion((ranks[0] < ranks[1]) == before),
    )
    return Question("relative position", text, parts)


def _find_grid_index(thing: Thing, across: bool) -> int:
    row, column = divmod(PLACES.index(thing.place), 3)
    return column if across else row


def _sample_missing_question(rng: random.Random, scene: Scene) -> Question | None:
    """Answers: `There is a circle and a star, so the square is missing.`"""
    present = sorted({thing.noun for thing in scene.shapes})
    absent = [shape for shape in SHAPES if shape not in present]
    if not present or not absent:
        return None
    missing = rng.choice(absent)
    nouns = [missing, *rng.sample(present, min(len(present), 2))]
    rng.shuffle(nouns)
    text = fill_template(rng, MISSING_TEMPLATES, nouns=join_nouns(nouns, "or"))
    parts = [AnswerPart("There is")]
    for index, noun in enumerate(noun for noun in nouns if noun != missing):
        link = " and" if index else ""
        parts.append(AnswerPart(f"{link} a {noun}", list_places(scene.find(noun=noun))))
    return Question(
        "what is missing", text, (*parts, AnswerPart(f", so the {missing} is missing."))
    )


REASONING_KINDS: dict[str, tuple[float, QuestionSampler]] = {
    "compare sizes": (1, _sample_larger_question),
    "compare counts": (1, _sample_more_question),
    "count if": (1.5, _sample_count_if_question),
    "relative position": (1.2, _sample_relative_question),
    "what is missing": (0.8, _sample_missing_question),
}
