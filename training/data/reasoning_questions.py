"""Questions that take more than one look: answers that say what they rest on, as the paper's do."""

import random

from training.data.question import Part, Question
from training.data.question_templates import (
    ABOVE,
    BELOW,
    COUNT_IF,
    LARGER,
    LEFT_OF,
    MISSING,
    MORE,
    RIGHT_OF,
    SMALLER,
    listed,
    number_of,
    phrase,
    plural,
)
from training.data.scenes import COLORS, PLACES, SHAPES, SIZES, Scene, Thing
from training.data.simple_questions import Asker, places_of

_ROWS = ("top", "middle", "bottom")


def _name(thing: Thing) -> str:
    return f"{thing.color} {thing.noun}"


def _pair(rng: random.Random, scene: Scene) -> tuple[Thing, Thing] | None:
    """Two shapes that colour and noun tell apart from all others."""
    alone = [t for t in scene.shapes if len(scene.having(t.color, t.noun)) == 1]
    if len(alone) < 2:
        return None
    one, other = rng.sample(alone, 2)
    return one, other


def _therefore(holds: bool) -> Part:
    return Part(", so yes." if holds else ", so no.")


def _ask_larger(rng: random.Random, scene: Scene) -> Question | None:
    """The {one} is large and the {other} is small, so the {one}."""
    pair = _pair(rng, scene)
    if pair is None or pair[0].size == pair[1].size:
        return None
    (one, other), larger = pair, rng.random() < 0.7
    by_size = sorted(pair, key=lambda thing: SIZES.index(thing.size), reverse=larger)
    text = phrase(rng, LARGER if larger else SMALLER, one=_name(one), other=_name(other))
    parts = (
        Part(f"The {_name(one)} is {one.size}", (one.place,)),
        Part(f" and the {_name(other)} is {other.size}", (other.place,)),
        Part(f", so the {_name(by_size[0])}."),
    )
    return Question("compare sizes", text, parts)


def _ask_more(rng: random.Random, scene: Scene) -> Question | None:
    """There are 2 circles and 1 square, so yes."""
    there = sorted({thing.noun for thing in scene.shapes})
    if not there:
        return None
    one = rng.choice(there)
    other = rng.choice([shape for shape in SHAPES if shape != one])
    if rng.random() < 0.5:
        one, other = other, one
    ones, others = scene.having(noun=one), scene.having(noun=other)
    text = phrase(rng, MORE, ones=plural(one), others=plural(other))
    be = "is" if len(ones) == 1 else "are"
    parts = (
        Part(f"There {be} {number_of(len(ones), one)}", places_of(ones)),
        Part(f" and {number_of(len(others), other)}", places_of(others)),
        _therefore(len(ones) > len(others)),
    )
    return Question("compare counts", text, parts)


def _ask_count_if(rng: random.Random, scene: Scene) -> Question | None:
    condition, found = rng.choice((_of_two_colors, _not_of_color, _of_size, _in_row))(rng, scene)
    text = phrase(rng, COUNT_IF, condition=condition)
    if not found:
        return Question("count if", text, (Part("None of them, so 0."),))
    names = [f"the {_name(thing)}" for thing in found]
    parts = [Part(names[0][0].upper() + names[0][1:], (found[0].place,))]
    for index, thing in enumerate(found[1:], start=2):
        comma = " and" if index == len(found) else ","
        parts.append(Part(f"{comma} {names[index - 1]}", (thing.place,)))
    return Question("count if", text, (*parts, Part(f", so {len(found)}.")))


def _of_two_colors(rng: random.Random, scene: Scene) -> tuple[str, tuple[Thing, ...]]:
    there = [thing.color for thing in scene.shapes]
    colors = list(dict.fromkeys([*rng.sample(there, min(len(there), 1)), *rng.sample(COLORS, 2)]))
    one, other = rng.sample(colors[:2], 2)
    found = tuple(thing for thing in scene.shapes if thing.color in (one, other))
    return f"{one} or {other}", found


def _not_of_color(rng: random.Random, scene: Scene) -> tuple[str, tuple[Thing, ...]]:
    color = rng.choice(scene.things).color if rng.random() < 0.8 else rng.choice(COLORS)
    return f"not {color}", tuple(thing for thing in scene.shapes if thing.color != color)


def _of_size(rng: random.Random, scene: Scene) -> tuple[str, tuple[Thing, ...]]:
    size = rng.choice(SIZES)
    return size, tuple(thing for thing in scene.shapes if thing.size == size)


def _in_row(rng: random.Random, scene: Scene) -> tuple[str, tuple[Thing, ...]]:
    number = rng.randrange(3)
    found = tuple(t for t in scene.shapes if PLACES.index(t.place) // 3 == number)
    return f"in the {_ROWS[number]} row", found


def _ask_relative(rng: random.Random, scene: Scene) -> Question | None:
    """The {one} is at the top left and the {other} is at the center, so yes."""
    pair = _pair(rng, scene)
    if pair is None:
        return None
    one, other = pair
    across = rng.random() < 0.5
    ranks = [_rank(thing, across) for thing in pair]
    if ranks[0] == ranks[1]:
        return None
    before = rng.random() < 0.5
    phrasings = (LEFT_OF if before else RIGHT_OF) if across else (ABOVE if before else BELOW)
    text = phrase(rng, phrasings, one=_name(one), other=_name(other))
    parts = (
        Part(f"The {_name(one)} is at the {one.place}", (one.place,)),
        Part(f" and the {_name(other)} is at the {other.place}", (other.place,)),
        _therefore((ranks[0] < ranks[1]) == before),
    )
    return Question("relative position", text, parts)


def _rank(thing: Thing, across: bool) -> int:
    row, column = divmod(PLACES.index(thing.place), 3)
    return column if across else row


def _ask_missing(rng: random.Random, scene: Scene) -> Question | None:
    """There is a circle and a star, so the square is missing."""
    there = sorted({thing.noun for thing in scene.shapes})
    gone = [shape for shape in SHAPES if shape not in there]
    if not there or not gone:
        return None
    missing = rng.choice(gone)
    present = rng.sample(there, min(len(there), 2))
    nouns = [missing, *present]
    rng.shuffle(nouns)
    present = [noun for noun in nouns if noun != missing]
    text = phrase(rng, MISSING, nouns=listed(nouns, "or"))
    parts = [Part("There is")]
    for index, noun in enumerate(present):
        link = " and" if index else ""
        parts.append(Part(f"{link} a {noun}", places_of(scene.having(noun=noun))))
    return Question("what is missing", text, (*parts, Part(f", so the {missing} is missing.")))


REASONING: dict[str, tuple[float, Asker]] = {
    "compare sizes": (1, _ask_larger),
    "compare counts": (1, _ask_more),
    "count if": (1.5, _ask_count_if),
    "relative position": (1.2, _ask_relative),
    "what is missing": (0.8, _ask_missing),
}
