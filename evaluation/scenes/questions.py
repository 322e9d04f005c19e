"""Questions about scenes that nobody has seen before, from the embedded model's own recipe."""

import hashlib
import io
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from asking.errors import RunError
from asking.images import QuestionImage
from asking.question import ChatQuestion
from training.data.drawing import draw
from training.data.question import Question
from training.data.questions import KINDS, ask_kind
from training.data.sampling import sample_scene
from training.data.scenes import Scene

ALL_KINDS = tuple(KINDS)
# Scenes that are looked at for a kind of question before it makes way.
_MAX_SCENES = 400


@dataclass(frozen=True, slots=True)
class SceneQuestion:
    """A question, its one right answer, and the scene it is about."""

    question_id: str
    scene: Scene
    question: Question

    def ask(self) -> ChatQuestion:
        digest = hashlib.sha256(repr(self.scene).encode()).hexdigest()
        notes = {"kind": self.question.kind, "answer": self.question.answer}
        picture = QuestionImage(f"scene {digest}", lambda: _png(self.scene))
        return ChatQuestion(self.question_id, self.question.text, image=picture, metadata=notes)

    def right(self, text: str) -> bool:
        """Whether an answer is the right one, word for word."""
        return text.strip() == self.question.answer


def draw_questions(
    seed: int, count: int, longest: int, kinds: Sequence[str] = ALL_KINDS
) -> list[SceneQuestion]:
    """`count` questions, each about a scene of its own of at most `longest` pixels, kinds in turn.

    They depend on the seed alone: a larger count asks the same ones and more. Scenes are drawn
    until one has a sure answer to a question of the kind whose turn it is; a kind that no scene of
    this size has (nothing can be read in the smallest) makes way for the next.
    Raises `RunError` where none of the kinds can be asked.
    """
    rng = random.Random(seed)  # noqa: S311 - draws scenes
    drawn: list[SceneQuestion] = []
    failures = 0
    for kind in itertools.cycle(kinds):
        if len(drawn) == count:
            return drawn
        found = _find(rng, kind, longest)
        if found is not None:
            drawn.append(SceneQuestion(str(len(drawn)), *found))
        failures = 0 if found else failures + 1
        if failures == len(kinds):
            raise RunError(f"nothing to ask about scenes of at most {longest} pixels")
    raise ValueError("no kinds")


def _find(rng: random.Random, kind: str, longest: int) -> tuple[Scene, Question] | None:
    for _ in range(_MAX_SCENES):
        scene = sample_scene(rng, longest=longest)
        if question := ask_kind(rng, scene, kind):
            return scene, question
    return None


def _png(scene: Scene) -> bytes:
    buffer = io.BytesIO()
    draw(scene).save(buffer, "PNG")
    return buffer.getvalue()
