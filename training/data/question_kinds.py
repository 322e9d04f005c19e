"""All kinds of questions about a scene, in the paper's three groups."""

import random
from collections.abc import Mapping

from training.data.captions import ask_detail
from training.data.question import Question
from training.data.reasoning_questions import REASONING
from training.data.scenes import Scene
from training.data.simple_questions import SIMPLE, Asker

# Each kind's weight among the questions and who asks them.
Kinds = Mapping[str, tuple[float, Asker]]

DETAIL: dict[str, tuple[float, Asker]] = {"detail": (3, ask_detail)}
KINDS: dict[str, tuple[float, Asker]] = {**SIMPLE, **DETAIL, **REASONING}

# The paper's three kinds of responses.
RESPONSES = {"conversation": SIMPLE, "detail": DETAIL, "complex reasoning": REASONING}

# In the paper's second stage half of the instructions take reasoning; few scenes have text to read.
_EMPHASIS = {"detail": 1.3, **dict.fromkeys(REASONING, 2.5), "read": 3.0}
INSTRUCTIONS: dict[str, tuple[float, Asker]] = {
    kind: (weight * _EMPHASIS.get(kind, 1.0), asker) for kind, (weight, asker) in KINDS.items()
}


def ask(rng: random.Random, scene: Scene, count: int, kinds: Kinds = KINDS) -> list[Question]:
    """`count` questions of these kinds; the text may repeat."""
    questions: list[Question] = []
    while len(questions) < count:
        questions += ask_of(rng, scene, kinds, count - len(questions))
    return questions


def ask_of(rng: random.Random, scene: Scene, kinds: Kinds, count: int) -> list[Question]:
    """At most `count` questions, drawn by the kinds' weights: some have no sure answer here."""
    weights = [weight for weight, _ in kinds.values()]
    names = rng.choices(list(kinds), weights, k=count)
    return [question for name in names if (question := kinds[name][1](rng, scene))]


def ask_kind(rng: random.Random, scene: Scene, kind: str) -> Question | None:
    """A question of this kind, or none where the scene has no sure answer to it."""
    return KINDS[kind][1](rng, scene)
