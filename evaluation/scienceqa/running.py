"""From problems to the questions that `scienceqa run` asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asking.pictures import Picture, picture_file
from asking.question import Ask
from evaluation.scienceqa.problems import Problem, ProblemSet
from evaluation.scienceqa.prompts import LETTER_ONLY, Order, build_prompt


@dataclass(frozen=True, slots=True)
class Asker:
    """How problems are put; `images` None asks all of them without their image."""

    order: Order = Order.QCM
    instruction: str = LETTER_ONLY
    captions: Mapping[str, str] = field(default_factory=dict)
    images: Path | None = None

    def asks(self, problem_set: ProblemSet, limit: int | None = None) -> list[Ask]:
        """One question a problem, the first `limit` of them. Raises `RunError`."""
        chosen = list(problem_set.problems.items())[:limit]
        return [self._ask(problem_set.split, each, problem) for each, problem in chosen]

    def _ask(self, split: str, problem_id: str, problem: Problem) -> Ask:
        caption = self.captions.get(problem_id, "")
        prompt = build_prompt(problem, self.order, caption, self.instruction)
        return Ask(problem_id, prompt, picture=self._picture(split, problem_id, problem))

    def _picture(self, split: str, problem_id: str, problem: Problem) -> Picture | None:
        if self.images is None or not problem.image:
            return None
        name = f"{problem_id}/{problem.image}"
        # The data set keeps images in a folder for each split; LLaVA is given one of these.
        return picture_file(name, self.images / name, self.images / split / name)
