"""Questions about newly drawn scenes, sampled as for the embedded model's training."""

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
from training.data.question_kinds import KINDS, sample_question
from training.data.sampling import sample_scene
from training.data.scenes import Scene

ALL_KINDS = tuple(KINDS)
# Scenes to try for a kind of question before skipping it.
_MAX_SCENES = 400


@dataclass(frozen=True, slots=True)
class SceneQuestion:
    """A question, its one correct answer, and its scene."""

    question_id: str
    scene: Scene
    question: Question

    def build_chat_question(self) -> ChatQuestion:
        """The question and its image, to be sent to an endpoint."""
        digest = hashlib.sha256(repr(self.scene).encode()).hexdigest()
        notes = {"kind": self.question.kind, "answer": self.question.answer}
        image = QuestionImage(f"scene {digest}", lambda: _encode_png(self.scene))
        return ChatQuestion(self.question_id, self.question.text, image=image, metadata=notes)

    def is_correct(self, text: str) -> bool:
        """Whether an answer matches exactly, apart from surrounding whitespace."""
        return text.strip() == self.question.answer


def draw_questions(
    seed: int, count: int, longest: int, kinds: Sequence[str] = ALL_KINDS
) -> list[SceneQuestion]:
    """Draw `count` questions, each about its own scene of at most `longest` pixels, kinds in turn.

    The questions depend on the seed alone: a larger count draws the same ones first. Scenes are
    drawn until one has an unambiguous answer to a question of the current kind. A kind that no
    scene of this size can have is skipped: the smallest scenes have no text to read.
    Raises `RunError` if no kind can be asked.
    """
    rng = random.Random(seed)  # noqa: S311 - draws scenes
    questions: list[SceneQuestion] = []
    failures = 0
    for kind in itertools.cycle(kinds):
        if len(questions) == count:
            return questions
        sample = _draw_question(rng, kind, longest)
        if sample is not None:
            questions.append(SceneQuestion(str(len(questions)), *sample))
        failures = 0 if sample else failures + 1
        if failures == len(kinds):
            raise RunError(f"nothing to ask about scenes of at most {longest} pixels")
    raise ValueError("no kinds")


def _draw_question(rng: random.Random, kind: str, longest: int) -> tuple[Scene, Question] | None:
    for _ in range(_MAX_SCENES):
        scene = sample_scene(rng, max_side=longest)
        if question := sample_question(rng, scene, kind):
            return scene, question
    return None


def _encode_png(scene: Scene) -> bytes:
    buffer = io.BytesIO()
    draw(scene).save(buffer, "PNG")
    return buffer.getvalue()
