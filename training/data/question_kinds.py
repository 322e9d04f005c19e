"""All kinds of questions about a scene, in the paper's three response types."""

import random
from collections.abc import Mapping

from training.data.captions import sample_detail_question
from training.data.question import Question
from training.data.reasoning_questions import REASONING_KINDS
from training.data.scenes import Scene
from training.data.simple_questions import SIMPLE_KINDS, QuestionSampler

# The sampling weight and the sampler of each kind.
QuestionKinds = Mapping[str, tuple[float, QuestionSampler]]

DETAIL_KINDS: dict[str, tuple[float, QuestionSampler]] = {"detail": (3, sample_detail_question)}
KINDS: dict[str, tuple[float, QuestionSampler]] = {
    **SIMPLE_KINDS,
    **DETAIL_KINDS,
    **REASONING_KINDS,
}

# The paper's three response types.
RESPONSE_TYPES = {
    "conversation": SIMPLE_KINDS,
    "detail": DETAIL_KINDS,
    "complex reasoning": REASONING_KINDS,
}

# Half of the instructions in the paper's second stage need reasoning. Text to read is rare.
_EMPHASIS = {"detail": 1.3, **dict.fromkeys(REASONING_KINDS, 2.5), "read": 3.0}
INSTRUCTION_KINDS: dict[str, tuple[float, QuestionSampler]] = {
    kind: (weight * _EMPHASIS.get(kind, 1.0), sampler) for kind, (weight, sampler) in KINDS.items()
}


def sample_questions(
    rng: random.Random, scene: Scene, count: int, kinds: QuestionKinds = KINDS
) -> list[Question]:
    """Sample exactly `count` questions of these kinds; their texts may repeat."""
    questions: list[Question] = []
    while len(questions) < count:
        questions += sample_answerable_questions(rng, scene, count - len(questions), kinds)
    return questions


def sample_answerable_questions(
    rng: random.Random, scene: Scene, count: int, kinds: QuestionKinds
) -> list[Question]:
    """Sample `count` kinds by weight; return questions for those the scene can answer."""
    weights = [weight for weight, _ in kinds.values()]
    names = rng.choices(list(kinds), weights, k=count)
    return [question for name in names if (question := kinds[name][1](rng, scene))]


def sample_question(rng: random.Random, scene: Scene, kind: str) -> Question | None:
    """Sample a question of this kind, or None where the scene has no unambiguous answer."""
    return KINDS[kind][1](rng, scene)
