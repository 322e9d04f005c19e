"""Simple questions: one look, a count, or a description, answered in a few words."""

import random
from collections.abc import Callable

from training.data.captions import ask_describe
from training.data.question import Question, question
from training.data.question_templates import (
    AT_PLACE,
    BACKGROUND,
    COLOR,
    COLOR_AT,
    COUNT,
    EXISTS,
    READ_NUMBER,
    READ_WORD,
    SHAPE_OF,
    SIZE,
    WHERE,
    a,
    phrase,
    plural,
)
from training.data.scenes import COLORS, DIGITS, PLACES, SHAPES, WORDS, Scene, Thing

Asker = Callable[[random.Random, Scene], Question | None]


def unique(
    rng: random.Random, things: tuple[Thing, ...], key: Callable[[Thing], object]
) -> Thing | None:
    """A thing whose `key` no other thing shares."""
    keys = [key(thing) for thing in things]
    alone = [thing for thing in things if keys.count(key(thing)) == 1]
    return rng.choice(alone) if alone else None


def places_of(things: tuple[Thing, ...]) -> tuple[str, ...]:
    return tuple(thing.place for thing in things)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _some_noun(rng: random.Random, scene: Scene) -> str:
    """One that may be there: printed things are asked about where something is printed."""
    if rng.random() < 0.8 or len(scene.shapes) == len(scene.things):
        return rng.choice(SHAPES)
    return rng.choice((f"number {rng.choice(DIGITS)}", f"word {rng.choice(WORDS)}"))


def _ask_color(rng: random.Random, scene: Scene) -> Question | None:
    if rng.random() < 0.12:
        return _ask_missing(rng, scene, COLOR)
    thing = unique(rng, scene.things, lambda thing: thing.noun)
    if thing is None:
        return None
    return question("color", phrase(rng, COLOR, noun=thing.noun), thing.color, thing.place)


def _ask_missing(rng: random.Random, scene: Scene, phrasings: tuple[str, ...]) -> Question | None:
    noun = _some_noun(rng, scene)
    if scene.having(noun=noun):
        return None
    return question("missing", phrase(rng, phrasings, noun=noun), f"there is no {noun}")


def _ask_where(rng: random.Random, scene: Scene) -> Question | None:
    thing = unique(rng, scene.things, lambda thing: (thing.color, thing.noun))
    if thing is None:
        return None
    text = phrase(rng, WHERE, noun=f"{thing.color} {thing.noun}")
    return question("where", text, thing.place, thing.place)


def _ask_where_noun(rng: random.Random, scene: Scene) -> Question | None:
    if rng.random() < 0.12:
        return _ask_missing(rng, scene, WHERE)
    thing = unique(rng, scene.things, lambda thing: thing.noun)
    if thing is None:
        return None
    return question("where shape", phrase(rng, WHERE, noun=thing.noun), thing.place, thing.place)


def _ask_where_color(rng: random.Random, scene: Scene) -> Question | None:
    thing = unique(rng, scene.things, lambda thing: thing.color)
    if thing is None:
        return None
    noun = "shape" if thing.is_shape else thing.noun.split(" ")[0]
    if thing.is_shape and rng.random() < 0.4:
        noun = rng.choice(("object", "one"))
    text = phrase(rng, WHERE, noun=f"{thing.color} {noun}")
    return question("where color", text, thing.place, thing.place)


def _ask_count(rng: random.Random, scene: Scene) -> Question | None:
    nouns = "shapes" if rng.random() < 0.8 else rng.choice(("objects", "figures"))
    text = phrase(rng, COUNT, nouns=nouns)
    return question("count", text, str(len(scene.shapes)), *places_of(scene.shapes))


def _ask_count_shape(rng: random.Random, scene: Scene) -> Question | None:
    there = [thing.noun for thing in scene.shapes]
    shape = rng.choice(there) if there and rng.random() < 0.7 else rng.choice(SHAPES)
    found = scene.having(noun=shape)
    text = phrase(rng, COUNT, nouns=plural(shape))
    return question("count shape", text, str(len(found)), *places_of(found))


def _ask_count_color(rng: random.Random, scene: Scene) -> Question | None:
    color = rng.choice(scene.things).color if rng.random() < 0.7 else rng.choice(COLORS)
    found = tuple(thing for thing in scene.shapes if thing.color == color)
    nouns = f"{color} {rng.choice(('shapes', 'shapes', 'objects'))}"
    text = phrase(rng, COUNT, nouns=nouns)
    return question("count color", text, str(len(found)), *places_of(found))


def _ask_exists(rng: random.Random, scene: Scene) -> Question | None:
    """Half are there; of the others most share the colour or the noun with a thing that is."""
    thing = rng.choice(scene.things)
    color, noun = thing.color, thing.noun
    if rng.random() < 0.5:
        changed = rng.random()
        color = color if changed < 0.4 else rng.choice(COLORS)
        noun = _some_noun(rng, scene) if changed < 0.4 or changed > 0.8 else noun
        if scene.having(color, noun):
            return None
    found = scene.having(color, noun)
    text = phrase(rng, EXISTS, a_noun=a(f"{color} {noun}"))
    return question("exists", text, _yes(bool(found)), *places_of(found))


def _ask_exists_noun(rng: random.Random, scene: Scene) -> Question | None:
    noun = rng.choice(scene.things).noun if rng.random() < 0.35 else _some_noun(rng, scene)
    found = scene.having(noun=noun)
    text = phrase(rng, EXISTS, a_noun=a(noun))
    return question("exists shape", text, _yes(bool(found)), *places_of(found))


def _ask_exists_color(rng: random.Random, scene: Scene) -> Question | None:
    color = rng.choice(scene.things).color if rng.random() < 0.35 else rng.choice(COLORS)
    noun = rng.choice((a(f"{color} shape"), a(f"{color} object")))
    found = tuple(thing for thing in scene.shapes if thing.color == color)
    text = phrase(rng, EXISTS, a_noun=noun)
    return question("exists color", text, _yes(bool(found)), *places_of(found))


def _ask_exists_place(rng: random.Random, scene: Scene) -> Question | None:
    place = rng.choice(scene.things).place if rng.random() < 0.35 else rng.choice(PLACES)
    thing = scene.at(place)
    nouns = ("anything", "something") if thing and not thing.is_shape else ("a shape", "anything")
    text = phrase(rng, EXISTS, a_noun=f"{rng.choice(nouns)} at the {place}")
    return question("exists place", text, _yes(thing is not None), place)


def _ask_printed(rng: random.Random, scene: Scene) -> Question | None:
    """Whether any number or word is printed."""
    kind = rng.choice(("number", "word"))
    found = tuple(thing for thing in scene.things if thing.noun.startswith(kind))
    text = phrase(rng, EXISTS, a_noun=a(kind))
    return question("exists text", text, _yes(bool(found)), *places_of(found))


def _ask_at_place(rng: random.Random, scene: Scene) -> Question | None:
    place = rng.choice(scene.things).place if rng.random() < 0.7 else rng.choice(PLACES)
    thing = scene.at(place)
    printed = thing is not None and not thing.is_shape
    phrasings = tuple(text for text in AT_PLACE if not printed or "shape" not in text)
    answer = a(f"{thing.color} {thing.noun}") if thing else "nothing"
    return question("at place", phrase(rng, phrasings, place=place), answer, place)


def _ask_color_at(rng: random.Random, scene: Scene) -> Question | None:
    if not scene.shapes:
        return None
    thing = rng.choice(scene.shapes)
    text = phrase(rng, COLOR_AT, place=thing.place)
    return question("color at", text, thing.color, thing.place)


def _ask_shape_of(rng: random.Random, scene: Scene) -> Question | None:
    thing = unique(rng, scene.shapes, lambda thing: thing.color)
    if thing is None:
        return None
    return question("shape of", phrase(rng, SHAPE_OF, color=thing.color), thing.noun, thing.place)


def _ask_size(rng: random.Random, scene: Scene) -> Question | None:
    thing = unique(rng, scene.shapes, lambda thing: (thing.color, thing.noun))
    if thing is None:
        return None
    alone = len(scene.having(noun=thing.noun)) == 1 and rng.random() < 0.5
    noun = thing.noun if alone else f"{thing.color} {thing.noun}"
    return question("size", phrase(rng, SIZE, noun=noun), thing.size, thing.place)


def _ask_background(rng: random.Random, scene: Scene) -> Question | None:
    return question("background", phrase(rng, BACKGROUND), scene.ground.name)


def _ask_read(rng: random.Random, scene: Scene) -> Question | None:
    """What the only number, or the only word, is."""
    thing = unique(rng, scene.things, lambda thing: thing.noun.split(" ")[0])
    if thing is None or thing.is_shape:
        return None
    kind, text = thing.noun.split(" ")
    phrasings = READ_NUMBER if kind == "number" else READ_WORD
    return question("read", phrase(rng, phrasings), text, thing.place)


# Each kind's share of the questions and who asks them.
SIMPLE: dict[str, tuple[float, Asker]] = {
    "color": (3, _ask_color),
    "where": (3, _ask_where),
    "where shape": (1.5, _ask_where_noun),
    "where color": (1, _ask_where_color),
    "count": (3, _ask_count),
    "count shape": (2, _ask_count_shape),
    "count color": (1, _ask_count_color),
    "exists": (3, _ask_exists),
    "exists shape": (1.2, _ask_exists_noun),
    "exists color": (1, _ask_exists_color),
    "exists place": (0.7, _ask_exists_place),
    "exists text": (0.5, _ask_printed),
    "at place": (2, _ask_at_place),
    "color at": (0.8, _ask_color_at),
    "shape of": (1.2, _ask_shape_of),
    "size": (1.2, _ask_size),
    "background": (0.7, _ask_background),
    "read": (2, _ask_read),
    "describe": (4, ask_describe),
}
