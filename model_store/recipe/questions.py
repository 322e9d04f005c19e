"""Questions about a scene, each with the one answer that counts as right."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from model_store.recipe.scenes import COLORS, PLACES, SHAPES, Scene, Thing

NO_IMAGE = "I see no image."


@dataclass(frozen=True, slots=True)
class Question:
    """`kind` groups questions in evaluations; `places` are those of the things to look up.

    Each comma in the answer goes on to the next of them.
    """

    kind: str
    text: str
    answer: str
    places: tuple[str, ...] = ()


Asker = Callable[[random.Random, Scene], Question | None]


def describe(scene: Scene) -> str:
    """Every thing with its place, in reading order, as one sentence."""
    parts = [f"{_a(f'{thing.color} {thing.shape}')} at the {thing.place}" for thing in scene.things]
    sentence = ", ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def ask(rng: random.Random, scene: Scene, count: int) -> list[Question]:
    """`count` questions, their kinds drawn by `KINDS`' weights; the text may repeat."""
    questions: list[Question] = []
    names, weights = list(KINDS), [weight for weight, _ in KINDS.values()]
    while len(questions) < count:
        asker = KINDS[rng.choices(names, weights)[0]][1]
        if question := asker(rng, scene):
            questions.append(question)
    return questions


def ask_kind(rng: random.Random, scene: Scene, kind: str) -> Question | None:
    """A question of this kind, or none where the scene has no sure answer to it."""
    return KINDS[kind][1](rng, scene)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _unique(
    rng: random.Random, things: tuple[Thing, ...], key: Callable[[Thing], object]
) -> Thing | None:
    """A thing whose `key` no other thing shares."""
    keys = [key(thing) for thing in things]
    alone = [thing for thing in things if keys.count(key(thing)) == 1]
    return rng.choice(alone) if alone else None


def _phrase(rng: random.Random, phrasings: tuple[str, ...], **words: str) -> str:
    """The first phrasing half of the time, else any of them, sometimes with a common ending."""
    template = phrasings[0] if rng.random() < 0.5 else rng.choice(phrasings)
    text = template.format(**words)
    if rng.random() < 0.12 and text.endswith("?"):
        text = f"{text[:-1]} in the {rng.choice(('image', 'picture', 'image', 'photo', 'scene'))}?"
    if rng.random() < 0.05:
        text = text.replace("color", "colour")
    if rng.random() < 0.05:
        text = text[0].lower() + text[1:].rstrip("?")
    if rng.random() < 0.07:
        text = f"{text}{rng.choice(_ENDINGS)}"
    return text


_ENDINGS = (
    " Answer with a single word.",
    "\nAnswer the question using a single word or phrase.",
    " Answer briefly.",
    " Please answer in one word.",
    " Answer in one word.",
)

_COLOR = (
    "What color is the {noun}?",
    "What is the color of the {noun}?",
    "Which color is the {noun}?",
    "Which color does the {noun} have?",
    "Tell me the color of the {noun}.",
    "What color does the {noun} have?",
    "The {noun} is what color?",
)
_WHERE = (
    "Where is the {noun}?",
    "Where is the {noun} located?",
    "Where can I see the {noun}?",
    "Where do you see the {noun}?",
    "In which place is the {noun}?",
    "What is the position of the {noun}?",
    "Where's the {noun}?",
    "In which part of the image is the {noun}?",
)
_COUNT = (
    "How many {nouns} are there?",
    "How many {nouns} do you see?",
    "How many {nouns} can you see?",
    "Count the {nouns}.",
    "What is the number of {nouns}?",
    "How many {nouns} does the image show?",
)
_EXISTS = (
    "Is there {a_noun}?",
    "Do you see {a_noun}?",
    "Can you see {a_noun}?",
    "Is {a_noun} present?",
    "Does the image contain {a_noun}?",
    "Does the picture show {a_noun}?",
    "Is there {a_noun} here?",
)
_AT_PLACE = (
    "What is at the {place}?",
    "What is in the {place}?",
    "What shape is at the {place}?",
    "What do you see at the {place}?",
    "Which shape is at the {place}?",
    "What's at the {place}?",
    "What is there at the {place}?",
    "What object is at the {place}?",
)
_COLOR_AT = (
    "What color is the shape at the {place}?",
    "What color is the shape in the {place}?",
    "Which color is the shape at the {place}?",
    "What is the color of the shape at the {place}?",
    "What color is the object at the {place}?",
)
_SHAPE_OF = (
    "What shape is {color}?",
    "Which shape is {color}?",
    "What is the {color} shape?",
    "What shape is the {color} object?",
    "What shape is the {color} one?",
    "What kind of shape is the {color} one?",
)
_DESCRIBE = (
    "Describe the image.",
    "Describe this image.",
    "Describe the picture.",
    "What is in the image?",
    "What do you see?",
    "What is in this image?",
    "What's in this image?",
    "What does the image show?",
    "What can you see in the image?",
    "Describe the image in detail.",
    "Please describe the image.",
    "Describe what you see.",
    "Give a description of the image.",
)


def _ask_color(rng: random.Random, scene: Scene) -> Question | None:
    if rng.random() < 0.05:
        return _ask_missing(rng, scene, _COLOR)
    thing = _unique(rng, scene.things, lambda thing: thing.shape)
    if thing is None:
        return None
    return Question("color", _phrase(rng, _COLOR, noun=thing.shape), thing.color, (thing.place,))


def _ask_missing(rng: random.Random, scene: Scene, phrasings: tuple[str, ...]) -> Question | None:
    shape = rng.choice(SHAPES)
    if scene.having(shape=shape):
        return None
    return Question("missing", _phrase(rng, phrasings, noun=shape), f"there is no {shape}")


def _ask_where(rng: random.Random, scene: Scene) -> Question | None:
    thing = _unique(rng, scene.things, lambda thing: (thing.color, thing.shape))
    if thing is None:
        return None
    return Question(
        "where",
        _phrase(rng, _WHERE, noun=f"{thing.color} {thing.shape}"),
        thing.place,
        (thing.place,),
    )


def _ask_where_shape(rng: random.Random, scene: Scene) -> Question | None:
    if rng.random() < 0.05:
        return _ask_missing(rng, scene, _WHERE)
    thing = _unique(rng, scene.things, lambda thing: thing.shape)
    if thing is None:
        return None
    return Question(
        "where shape", _phrase(rng, _WHERE, noun=thing.shape), thing.place, (thing.place,)
    )


def _ask_where_color(rng: random.Random, scene: Scene) -> Question | None:
    thing = _unique(rng, scene.things, lambda thing: thing.color)
    if thing is None:
        return None
    noun = f"{thing.color} {rng.choice(('shape', 'shape', 'object', 'one'))}"
    return Question("where color", _phrase(rng, _WHERE, noun=noun), thing.place, (thing.place,))


def _ask_count(rng: random.Random, scene: Scene) -> Question | None:
    nouns = "shapes" if rng.random() < 0.8 else rng.choice(("objects", "figures", "things"))
    return Question("count", _phrase(rng, _COUNT, nouns=nouns), str(len(scene.things)))


def _ask_count_shape(rng: random.Random, scene: Scene) -> Question | None:
    shape = rng.choice(scene.things).shape if rng.random() < 0.7 else rng.choice(SHAPES)
    nouns = f"{shape}es" if shape == "cross" else f"{shape}s"
    number = len(scene.having(shape=shape))
    return Question("count shape", _phrase(rng, _COUNT, nouns=nouns), str(number))


def _ask_count_color(rng: random.Random, scene: Scene) -> Question | None:
    color = rng.choice(scene.things).color if rng.random() < 0.7 else rng.choice(COLORS)
    number = len(scene.having(color=color))
    nouns = f"{color} {rng.choice(('shapes', 'shapes', 'objects'))}"
    return Question("count color", _phrase(rng, _COUNT, nouns=nouns), str(number))


def _ask_exists(rng: random.Random, scene: Scene) -> Question | None:
    """Half are there; of the others most share the colour or the shape with a thing that is."""
    thing = rng.choice(scene.things)
    color, shape = thing.color, thing.shape
    if rng.random() < 0.5:
        changed = rng.random()
        color = color if changed < 0.4 else rng.choice(COLORS)
        shape = rng.choice(SHAPES) if changed < 0.4 or changed > 0.8 else shape
        if scene.having(color, shape):
            return None
    noun = f"{color} {shape}"
    found = scene.having(color, shape)
    places = (found[0].place,) if len(found) == 1 else ()
    text = _phrase(rng, _EXISTS, a_noun=_a(noun))
    return Question("exists", text, _yes(bool(found)), places)


def _ask_exists_shape(rng: random.Random, scene: Scene) -> Question | None:
    shape = rng.choice(scene.things).shape if rng.random() < 0.35 else rng.choice(SHAPES)
    holds = bool(scene.having(shape=shape))
    return Question("exists shape", _phrase(rng, _EXISTS, a_noun=_a(shape)), _yes(holds))


def _ask_exists_color(rng: random.Random, scene: Scene) -> Question | None:
    color = rng.choice(scene.things).color if rng.random() < 0.35 else rng.choice(COLORS)
    noun = rng.choice((f"anything {color}", _a(f"{color} shape"), _a(f"{color} object")))
    holds = bool(scene.having(color=color))
    return Question("exists color", _phrase(rng, _EXISTS, a_noun=noun), _yes(holds))


def _ask_exists_place(rng: random.Random, scene: Scene) -> Question | None:
    place = rng.choice(scene.things).place if rng.random() < 0.35 else rng.choice(PLACES)
    noun = f"{rng.choice(('a shape', 'anything', 'something'))} at the {place}"
    holds = scene.at(place) is not None
    return Question("exists place", _phrase(rng, _EXISTS, a_noun=noun), _yes(holds))


def _ask_at_place(rng: random.Random, scene: Scene) -> Question | None:
    place = rng.choice(scene.things).place if rng.random() < 0.7 else rng.choice(PLACES)
    thing = scene.at(place)
    text = _phrase(rng, _AT_PLACE, place=place)
    if thing is None:
        return Question("at place", text, "nothing")
    return Question("at place", text, _a(f"{thing.color} {thing.shape}"), (place,))


def _ask_color_at(rng: random.Random, scene: Scene) -> Question | None:
    thing = rng.choice(scene.things)
    return Question(
        "color at", _phrase(rng, _COLOR_AT, place=thing.place), thing.color, (thing.place,)
    )


def _ask_shape_of(rng: random.Random, scene: Scene) -> Question | None:
    thing = _unique(rng, scene.things, lambda thing: thing.color)
    if thing is None:
        return None
    return Question(
        "shape of", _phrase(rng, _SHAPE_OF, color=thing.color), thing.shape, (thing.place,)
    )


def _ask_describe(rng: random.Random, scene: Scene) -> Question | None:
    text = _DESCRIBE[0] if rng.random() < 0.5 else rng.choice(_DESCRIBE)
    places = tuple(thing.place for thing in scene.things)
    return Question("describe", text, describe(scene), places)


KINDS: dict[str, tuple[float, Asker]] = {
    "color": (3, _ask_color),
    "where": (3, _ask_where),
    "where shape": (1.5, _ask_where_shape),
    "where color": (1, _ask_where_color),
    "count": (4, _ask_count),
    "count shape": (2, _ask_count_shape),
    "count color": (0.8, _ask_count_color),
    "exists": (3, _ask_exists),
    "exists shape": (1.2, _ask_exists_shape),
    "exists color": (1, _ask_exists_color),
    "exists place": (0.5, _ask_exists_place),
    "at place": (2, _ask_at_place),
    "color at": (0.8, _ask_color_at),
    "shape of": (1.2, _ask_shape_of),
    "describe": (6, _ask_describe),
}
