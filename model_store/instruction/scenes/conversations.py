"""The paper's three response types about one scene, as LLaVA's records."""

import random
from collections.abc import Iterator
from typing import Final

from model_store.instruction.records import Kind, Pair, Record, build_record
from training.data.question import Question
from training.data.question_kinds import RESPONSE_TYPES, sample_answerable_questions
from training.data.scenes import Scene

_RESPONSE_TYPE_BY_KIND: Final[dict[Kind, str]] = {
    "conversation": "conversation",
    "detail": "detail",
    "complex": "complex reasoning",
}
# The least and the most turns of a record.
_NUM_TURNS: Final[dict[Kind, tuple[int, int]]] = {
    "conversation": (3, 6),
    "detail": (1, 1),
    "complex": (1, 1),
}


def sample_records(
    scene: Scene, scene_id: str, image: str, rng: random.Random
) -> Iterator[tuple[Kind, Record]]:
    """Yield one record of each kind for which the scene has unambiguous answers."""
    for kind, response_type in _RESPONSE_TYPE_BY_KIND.items():
        pairs = _sample_pairs(rng, scene, response_type, rng.randint(*_NUM_TURNS[kind]))
        if pairs:
            yield kind, build_record(f"{scene_id}-{kind}", image, pairs, rng)


def _sample_pairs(rng: random.Random, scene: Scene, response_type: str, count: int) -> list[Pair]:
    """Sample at most `count` pairs of question and answer, with distinct questions."""
    questions: dict[str, Question] = {}
    kinds = RESPONSE_TYPES[response_type]
    for question in sample_answerable_questions(rng, scene, 4 * count, kinds):
        questions.setdefault(question.text, question)
    return [(text, question.answer) for text, question in list(questions.items())[:count]]
