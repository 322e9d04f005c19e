"""The paper's three kinds of responses about one scene, as LLaVA's records."""

import random
from collections.abc import Iterator
from typing import Final

from model_store.instruction.records import Kind, Pair, Record, build_record
from training.data.question import Question
from training.data.question_kinds import RESPONSES, ask_of
from training.data.scenes import Scene

_RESPONSES: Final[dict[Kind, str]] = {
    "conversation": "conversation",
    "detail": "detail",
    "complex": "complex reasoning",
}
# How many questions a record holds: at least, at most.
_TURNS: Final[dict[Kind, tuple[int, int]]] = {
    "conversation": (3, 6),
    "detail": (1, 1),
    "complex": (1, 1),
}


def records_of(
    scene: Scene, scene_id: str, image: str, rng: random.Random
) -> Iterator[tuple[Kind, Record]]:
    """One record of each kind that the scene has sure answers for."""
    for kind, response in _RESPONSES.items():
        pairs = _pairs(rng, scene, response, rng.randint(*_TURNS[kind]))
        if pairs:
            yield kind, build_record(f"{scene_id}-{kind}", image, pairs, rng)


def _pairs(rng: random.Random, scene: Scene, response: str, count: int) -> list[Pair]:
    """Questions and answers, no two alike."""
    asked: dict[str, Question] = {}
    for question in ask_of(rng, scene, RESPONSES[response], 4 * count):
        asked.setdefault(question.text, question)
    return [(text, question.answer) for text, question in list(asked.items())[:count]]
