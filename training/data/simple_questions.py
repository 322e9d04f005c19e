"""Simple questions: one look-up, a count, or a description."""

import random
from collections.abc import Callable

from training.data.captions import sample_description_question
from training.data.grammar import pluralise, with_article
from training.data.question import Question, build_question
from training.data.question_templates import (
    AT_PLACE_TEMPLATES,
    BACKGROUND_TEMPLATES,
    COLOR_AT_TEMPLATES,
    COLOR_TEMPLATES,
    COUNT_TEMPLATES,
    EXISTS_TEMPLATES,
    READ_NUMBER_TEMPLATES,
    READ_WORD_TEMPLATES,
    SHAPE_OF_TEMPLATES,
    SIZE_TEMPLATES,
    WHERE_TEMPLATES,
    fill_template,
)
from training.data.scenes import COLORS, DIGITS, PLACES, SHAPES, WORDS, Scene, Thing

QuestionSampler = Callable[[random.Random, Scene], Question | None]


def sample_unique_thing(
    rng: random.Random, things: tuple[Thing, ...], key: Callable[[Thing], object]
) -> Thing | None:
    """Sample a thing whose `key` no other thing shares; None where there is no such thing."""
    keys = [key(thing) for thing in things]
    candidates = [thing for thing in things if keys.count(key(thing)) == 1]
    return rng.choice(candidates) if candidates else None


def list_places(things: tuple[Thing, ...]) -> tuple[str, ...]:
    return tuple(thing.place for thing in things)


def _yes_or_no(holds: bool) -> str:
    return "yes" if holds else "no"


def _sample_noun(rng: random.Random, scene: Scene) -> str:
    """Sample a noun to ask about. Printed text comes up only in scenes that print something."""
    if rng.random() < 0.8 or len(scene.shapes) == len(scene.things):
        return rng.choice(SHAPES)
    return rng.choice((f"number {rng.choice(DIGITS)}", f"word {rng.choice(WORDS)}"))


def _sample_color_question(rng: random.Random, scene: Scene) -> Question | None:
    if rng.random() < 0.12:
        return _sample_missing_question(rng, scene, COLOR_TEMPLATES)
    thing = sample_unique_thing(rng, scene.things, lambda thing: thing.noun)
    if thing is None:
        return None
    text = fill_template(rng, COLOR_TEMPLATES, noun=thing.noun)
    return build_question("color", text, thing.color, thing.place)


def _sample_missing_question(
    rng: random.Random, scene: Scene, templates: tuple[str, ...]
) -> Question | None:
    noun = _sample_noun(rng, scene)
    if scene.find(noun=noun):
        return None
    text = fill_template(rng, templates, noun=noun)
    return build_question("missing", text, f"there is no {noun}")


def _sample_where_question(rng: random.Random, scene: Scene) -> Question | None:
    thing = sample_unique_thing(rng, scene.things, lambda thing: (thing.color, thing.noun))
    if thing is None:
        return None
    text = fill_template(rng, WHERE_TEMPLATES, noun=thing.name)
    return build_question("where", text, thing.place, thing.place)


def _sample_where_noun_question(rng: random.Random, scene: Scene) -> Question | None:
    if rng.random() < 0.12:
        return _sample_missing_question(rng, scene, WHERE_TEMPLATES)
    thing = sample_unique_thing(rng, scene.things, lambda thing: thing.noun)
    if thing is None:
        return None
    text = fill_template(rng, WHERE_TEMPLATES, noun=thing.noun)
    return build_question("where shape", text, thing.place, thing.place)


def _sample_where_color_question(rng: random.Random, scene: Scene) -> Question | None:
    thing = sample_unique_thing(rng, scene.things, lambda thing: thing.color)
    if thing is None:
        return None
    noun = "shape" if thing.is_shape else thing.noun.split(" ")[0]
    if thing.is_shape and rng.random() < 0.4:
        noun = rng.choice(("object", "one"))
    text = fill_template(rng, WHERE_TEMPLATES, noun=f"{thing.color} {noun}")
    return build_question("where color", text, thing.place, thing.place)


def _sample_count_question(rng: random.Random, scene: Scene) -> Question | None:
    nouns = "shapes" if rng.random() < 0.8 else rng.choice(("objects", "figures"))
    text = fill_template(rng, COUNT_TEMPLATES, nouns=nouns)
    return build_question("count", text, str(len(scene.shapes)), *list_places(scene.shapes))


def _sample_count_shape_question(rng: random.Random, scene: Scene) -> Question | None:
    present = [thing.noun for thing in scene.shapes]
    shape = rng.choice(present) if present and rng.random() < 0.7 else rng.choice(SHAPES)
    matches = scene.find(noun=shape)
    text = fill_template(rng, COUNT_TEMPLATES, nouns=pluralise(shape))
    return build_question("count shape", text, str(len(matches)), *list_places(matches))


def _sample_count_color_question(rng: random.Random, scene: Scene) -> Question | None:
    color = rng.choice(scene.things).color if rng.random() < 0.7 else rng.choice(COLORS)
    matches = tuple(thing for thing in scene.shapes if thing.color == color)
    nouns = f"{color} {rng.choice(('shapes', 'shapes', 'objects'))}"
    text = fill_template(rng, COUNT_TEMPLATES, nouns=nouns)
    return build_question("count color", text, str(len(matches)), *list_places(matches))


def _sample_exists_question(rng: random.Random, scene: Scene) -> Question | None:
    """Half of the answers are yes. Most other questions share the colour or noun of a thing."""
    thing = rng.choice(scene.things)
    color, noun = thing.color, thing.noun
    if rng.random() < 0.5:
        draw = rng.random()
        color = color if draw < 0.4 else rng.choice(COLORS)
        noun = _sample_noun(rng, scene) if draw < 0.4 or draw > 0.8 else noun
        if scene.find(color, noun):
            return None
    matches = scene.find(color, noun)
    text = fill_template(rng, EXISTS_TEMPLATES, a_noun=with_article(f"{color} {noun}"))
    return build_question("exists", text, _yes_or_no(bool(matches)), *list_places(matches))


def _sample_exists_noun_question(rng: random.Random, scene: Scene) -> Question | None:
    noun = rng.choice(scene.things).noun if rng.random() < 0.35 else _sample_noun(rng, scene)
    matches = scene.find(noun=noun)
    text = fill_template(rng, EXISTS_TEMPLATES, a_noun=with_article(noun))
    return build_question("exists shape", text, _yes_or_no(bool(matches)), *list_places(matches))


def _sample_exists_color_question(rng: random.Random, scene: Scene) -> Question | None:
    color = rng.choice(scene.things).color if rng.random() < 0.35 else rng.choice(COLORS)
    noun = rng.choice((with_article(f"{color} shape"), with_article(f"{color} object")))
    matches = tuple(thing for thing in scene.shapes if thing.color == color)
    text = fill_template(rng, EXISTS_TEMPLATES, a_noun=noun)
    return build_question("exists color", text, _yes_or_no(bool(matches)), *list_places(matches))


def _sample_exists_place_question(rng: random.Random, scene: Scene) -> Question | None:
    place = rng.choice(scene.things).place if rng.random() < 0.35 else rng.choice(PLACES)
    thing = scene.thing_at(place)
    nouns = ("anything", "something") if thing and not thing.is_shape else ("a shape", "anything")
    text = fill_template(rng, EXISTS_TEMPLATES, a_noun=f"{rng.choice(nouns)} at the {place}")
    return build_question("exists place", text, _yes_or_no(thing is not None), place)


def _sample_exists_text_question(rng: random.Random, scene: Scene) -> Question | None:
    """Ask whether any number or word is printed."""
    kind = rng.choice(("number", "word"))
    matches = tuple(thing for thing in scene.things if thing.noun.startswith(kind))
    text = fill_template(rng, EXISTS_TEMPLATES, a_noun=with_article(kind))
    return build_question("exists text", text, _yes_or_no(bool(matches)), *list_places(matches))


def _sample_at_place_question(rng: random.Random, scene: Scene) -> Question | None:
    place = rng.choice(scene.things).place if rng.random() < 0.7 else rng.choice(PLACES)
    thing = scene.thing_at(place)
    is_text = thing is not None and not thing.is_shape
    templates = tuple(text for text in AT_PLACE_TEMPLATES if not is_text or "shape" not in text)
    answer = with_article(thing.name) if thing else "nothing"
    return build_question("at place", fill_template(rng, templates, place=place), answer, place)


def _sample_color_at_question(rng: random.Random, scene: Scene) -> Question | None:
    if not scene.shapes:
        return None
    thing = rng.choice(scene.shapes)
    text = fill_template(rng, COLOR_AT_TEMPLATES, place=thing.place)
    return build_question("color at", text, thing.color, thing.place)


def _sample_shape_of_question(rng: random.Random, scene: Scene) -> Question | None:
    thing = sample_unique_thing(rng, scene.shapes, lambda thing: thing.color)
    if thing is None:
        return None
    text = fill_template(rng, SHAPE_OF_TEMPLATES, color=thing.color)
    return build_question("shape of", text, thing.noun, thing.place)


def _sample_size_question(rng: random.Random, scene: Scene) -> Question | None:
    thing = sample_unique_thing(rng, scene.shapes, lambda thing: (thing.color, thing.noun))
    if thing is None:
        return None
    is_only_one = len(scene.find(noun=thing.noun)) == 1 and rng.random() < 0.5
    noun = thing.noun if is_only_one else thing.name
    text = fill_template(rng, SIZE_TEMPLATES, noun=noun)
    return build_question("size", text, thing.size, thing.place)


def _sample_background_question(rng: random.Random, scene: Scene) -> Question | None:
    return build_question("background", fill_template(rng, BACKGROUND_TEMPLATES), scene.ground.name)


def _sample_read_question(rng: random.Random, scene: Scene) -> Question | None:
    """Ask for the only number or the only word."""
    thing = sample_unique_thing(rng, scene.things, lambda thing: thing.noun.split(" ")[0])
    if thing is None or thing.is_shape:
        return None
    kind, text = thing.noun.split(" ")
    templates = READ_NUMBER_TEMPLATES if kind == "number" else READ_WORD_TEMPLATES
    return build_question("read", fill_template(rng, templates), text, thing.place)


# The sampling weight and the sampler of each kind.
SIMPLE_KINDS: dict[str, tuple[float, QuestionSampler]] = {
    "color": (3, _sample_color_question),
    "where": (3, _sample_where_question),
    "where shape": (1.5, _sample_where_noun_question),
    "where color": (1, _sample_where_color_question),
    "count": (3, _sample_count_question),
    "count shape": (2, _sample_count_shape_question),
    "count color": (1, _sample_count_color_question),
    "exists": (3, _sample_exists_question),
    "exists shape": (1.2, _sample_exists_noun_question),
    "exists color": (1, _sample_exists_color_question),
    "exists place": (0.7, _sample_exists_place_question),
    "exists text": (0.5, _sample_exists_text_question),
    "at place": (2, _sample_at_place_question),
    "color at": (0.8, _sample_color_at_question),
    "shape of": (1.2, _sample_shape_of_question),
    "size": (1.2, _sample_size_question),
    "background": (0.7, _sample_background_question),
    "read": (2, _sample_read_question),
    "describe": (4, sample_description_question),
}
