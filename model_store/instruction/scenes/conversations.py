"""The paper's three kinds of responses about one scene, as LLaVA's records."""

import random
from collections.abc import Iterator
from typing import Final

from model_store.instruction.records import Kind, Pair, Record, build_record
from training.data.question import Question
from training.data.questions import RESPONSES, ask_of
from training.data.scenes import Scene

_RESPONSES: Final[dict[Kind, str]] = {
    "conversation": "conversation",
    "detail": "detail",
    "complex": "complex reasoning",
}
# The least and the most questions in a record.
_TURNS: Final[dict[Kind, tuple[int, int]]] = {
    "conversation": (3, 6),
    "detail": (1, 1),
    "complex": (1, 1),
}


def build_records(
    scene: Scene, scene_id: str, image: str, rng: random.Random
) -> Iterator[tuple[Kind, Record]]:
    """Yield one record of each kind that the scene has certain answers for."""
    for kind, response in _RESPONSES.items():
        pairs = _draw_pairs(rng, scene, response, rng.randint(*_TURNS[kind]))
        if pairs:
            yield kind, build_record(f"{scene_id}-{kind}", image, pairs, rng)


def _draw_pairs(rng: random.Random, scene: Scene, response: str, count: int) -> list[Pair]:
    """Return questions and answers, each question once."""
    questions: dict[str, Question] = {}
    for question in ask_of(rng, scene, RESPONSES[response], 4 * count):
        questions.setdefault(question.text, question)
    return [(text, question.answer) for text, question in list(questions.items())[:count]]
