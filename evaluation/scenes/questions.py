"""Questions about scenes that nobody has seen before, from the embedded model's own recipe."""

import hashlib
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass

from asking.pictures import Picture
from asking.question import Ask
from model_store.recipe.drawing import draw
from model_store.recipe.questions import KINDS, Question, ask_kind
from model_store.recipe.scenes import Scene, sample_scene

ALL_KINDS = tuple(KINDS)


@dataclass(frozen=True, slots=True)
class SceneQuestion:
    """A question, its one right answer, and the scene it is about."""

    question_id: str
    scene: Scene
    question: Question

    def ask(self) -> Ask:
        digest = hashlib.sha256(repr(self.scene).encode()).hexdigest()
        notes = {"kind": self.question.kind, "answer": self.question.answer}
        picture = Picture(f"scene {digest}", lambda: _png(self.scene))
        return Ask(self.question_id, self.question.text, picture=picture, notes=notes)

    def right(self, text: str) -> bool:
        """Whether an answer is the right one, word for word."""
        return text.strip() == self.question.answer


def draw_questions(
    seed: int, count: int, longest: int, kinds: Sequence[str] = ALL_KINDS
) -> list[SceneQuestion]:
    """`count` questions, each about a scene of its own of at most `longest` pixels, kinds in turn.

    They depend on the seed alone: a larger count asks the same ones and more. A scene that has no
    sure answer to a question of any of `kinds` is left out.
    """
    rng = random.Random(seed)  # noqa: S311 - draws scenes
    drawn: list[SceneQuestion] = []
    while len(drawn) < count:
        scene = sample_scene(rng, longest=longest)
        start = len(drawn) % len(kinds)
        if question := _first_sure(rng, scene, [*kinds[start:], *kinds[:start]]):
            drawn.append(SceneQuestion(str(len(drawn)), scene, question))
    return drawn


def _first_sure(rng: random.Random, scene: Scene, kinds: Sequence[str]) -> Question | None:
    return next((found for kind in kinds if (found := ask_kind(rng, scene, kind))), None)


def _png(scene: Scene) -> bytes:
    buffer = io.BytesIO()
    draw(scene).save(buffer, "PNG")
    return buffer.getvalue()
