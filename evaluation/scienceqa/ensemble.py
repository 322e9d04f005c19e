"""Ensembles of two models' predictions (arXiv 2304.08485, section 5.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from asking.question import ChatQuestion
from evaluation.scienceqa.parsing import NO_CHOICE, parse_choice
from evaluation.scienceqa.problems import ProblemSet
from evaluation.scienceqa.prompts import Layout, build_prompt

JUDGE_SYSTEM: Final = "You decide between answers to multiple-choice questions on school science."
_JUDGE_TASK: Final = (
    "Two students disagree on this question. Weigh what both of them wrote, answer the question "
    "yourself, and end with a sentence of exactly this form, with the letter of an option for X: "
    "The answer is X."
)


@dataclass(frozen=True, slots=True)
class PredictionPair:
    """Predictions of two models for the same problems; a missing one names no choice."""

    problem_set: ProblemSet
    first: Mapping[str, str]
    second: Mapping[str, str]

    def complement(self) -> dict[str, str]:
        """Return the second model's prediction if it names a choice, else the first's.

        The paper's "complement" takes GPT-4 as the second model.
        """
        return {
            problem_id: text
            for problem_id in self.problem_set.problems
            if (text := self._choose_prediction(problem_id)) is not None
        }

    def select_agreed(self) -> dict[str, str]:
        """Return the first model's predictions where both name the same choice, or none."""
        return {
            problem_id: self.first[problem_id]
            for problem_id in self.problem_set.problems
            if problem_id in self.first
            and self._choice(self.first, problem_id) == self._choice(self.second, problem_id)
        }

    def build_judge_questions(self) -> list[ChatQuestion]:
        """Build a judge's question, with both answers, for each problem the models disagree on."""
        agreed = self.select_agreed()
        return [
            ChatQuestion(problem_id, self._build_judge_prompt(problem_id), JUDGE_SYSTEM)
            for problem_id in self.problem_set.problems
            if problem_id not in agreed and (problem_id in self.first or problem_id in self.second)
        ]

    def apply_verdicts(self, verdicts: Mapping[str, str]) -> dict[str, str]:
        """Return the joint predictions: agreed ones, and the judge's verdicts on the others.

        Without a verdict that names a choice the first model's own prediction stays, as in the
        released `eval_science_qa_gpt4_requery.py`.
        """
        readable = {
            problem_id: text
            for problem_id, text in verdicts.items()
            if problem_id in self.problem_set.problems
            and self._choice(verdicts, problem_id) != NO_CHOICE
        }
        own = {key: text for key, text in self.first.items() if key in self.problem_set.problems}
        return {**own, **readable, **self.select_agreed()}

    def _choose_prediction(self, problem_id: str) -> str | None:
        if self._choice(self.second, problem_id) != NO_CHOICE:
            return self.second[problem_id]
        return self.first.get(problem_id, self.second.get(problem_id))

    def _choice(self, predictions: Mapping[str, str], problem_id: str) -> int:
        choices = self.problem_set.problems[problem_id].choices
        return parse_choice(predictions.get(problem_id, ""), len(choices))

    def _build_judge_prompt(self, problem_id: str) -> str:
        problem = build_prompt(self.problem_set.problems[problem_id], Layout.CQM, instruction="")
        students = [
            f"<student-{number}>\n{predictions.get(problem_id, '(no answer)')}\n</student-{number}>"
            for number, predictions in enumerate((self.first, self.second), start=1)
        ]
        return "\n\n".join((problem, *students, _JUDGE_TASK))
