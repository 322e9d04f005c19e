"""Builds the questions that `scienceqa run` asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asking.images import QuestionImage, find_image
from asking.question import ChatQuestion
from evaluation.scienceqa.problems import Problem, ProblemSet
from evaluation.scienceqa.prompts import Layout, build_prompt


@dataclass(frozen=True, slots=True)
class QuestionBuilder:
    """Options of the prompts; with `images` None all problems are asked without an image."""

    layout: Layout = Layout.QCM
    instruction: str | None = None
    captions: Mapping[str, str] = field(default_factory=dict)
    images: Path | None = None

    def build_questions(
        self, problem_set: ProblemSet, limit: int | None = None
    ) -> list[ChatQuestion]:
        """Build a question for each of the first `limit` problems. Raises `RunError`."""
        chosen = list(problem_set.problems.items())[:limit]
        return [
            self._build_question(problem_set.split, problem_id, problem)
            for problem_id, problem in chosen
        ]

    def _build_question(self, split: str, problem_id: str, problem: Problem) -> ChatQuestion:
        caption = self.captions.get(problem_id, "")
        prompt = build_prompt(problem, self.layout, caption, self.instruction)
        return ChatQuestion(problem_id, prompt, image=self._find_image(split, problem_id, problem))

    def _find_image(self, split: str, problem_id: str, problem: Problem) -> QuestionImage | None:
        if self.images is None or not problem.image:
            return None
        name = f"{problem_id}/{problem.image}"
        # The data set has a folder of images per split; LLaVA's scripts take one of these folders.
        return find_image(name, self.images / name, self.images / split / name)
