"""Two models' predictions made into one (arXiv 2304.08485, section 5.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from asking.question import Ask
from evaluation.scienceqa.parsing import UNREAD, read_choice
from evaluation.scienceqa.problems import ProblemSet
from evaluation.scienceqa.prompts import Order, build_prompt

JUDGE_SYSTEM: Final = "You decide between answers to multiple-choice questions on school science."
_JUDGING: Final = (
    "Two students disagree on this question. Weigh what both of them wrote, answer the question "
    "yourself, and end with a sentence of exactly this form, with the letter of an option for X: "
    "The answer is X."
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Predictions of two models for the same problems; a missing one counts as unread."""

    problem_set: ProblemSet
    first: Mapping[str, str]
    second: Mapping[str, str]

    def complement(self) -> dict[str, str]:
        """The second model's prediction wherever an answer can be read in it, else the first's.

        The paper's "complement" takes GPT-4 as the second model.
        """
        return {
            each: text
            for each in self.problem_set.problems
            if (text := self._complement(each)) is not None
        }

    def agreed(self) -> dict[str, str]:
        """The first model's predictions where both name the same choice, or neither does."""
        return {
            each: self.first[each]
            for each in self.problem_set.problems
            if each in self.first
            and self._choice(self.first, each) == self._choice(self.second, each)
        }

    def disputes(self) -> list[Ask]:
        """What to ask a judge: every problem on which the two models differ, with both answers."""
        agreed = self.agreed()
        return [
            Ask(each, self._dispute(each), JUDGE_SYSTEM)
            for each in self.problem_set.problems
            if each not in agreed and (each in self.first or each in self.second)
        ]

    def _complement(self, each: str) -> str | None:
        if self._choice(self.second, each) != UNREAD:
            return self.second[each]
        return self.first.get(each, self.second.get(each))

    def _choice(self, predictions: Mapping[str, str], each: str) -> int:
        choices = self.problem_set.problems[each].choices
        return read_choice(predictions.get(each, ""), len(choices))

    def _dispute(self, each: str) -> str:
        problem = build_prompt(self.problem_set.problems[each], Order.CQM, instruction="")
        students = [
            f"<student-{number}>\n{predictions.get(each, '(no answer)')}\n</student-{number}>"
            for number, predictions in enumerate((self.first, self.second), start=1)
        ]
        return "\n\n".join((problem, *students, _JUDGING))
