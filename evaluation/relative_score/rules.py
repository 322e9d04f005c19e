"""The released judge's prompt: rules by category, and the layout around them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from asking.errors import InputError
from asking.files import FileModel, describe_validation_error, read_json
from evaluation.relative_score.inputs import Case

# What `eval_gpt_review_visual.py` and `eval_gpt_review_bench.py` send with every prompt.
RELEASED_SYSTEM: Final = (
    "You are a helpful and precise assistant for checking the quality of the answer."
)
RELEASED_TEMPERATURE: Final = 0.2


class Rule(FileModel):
    """What the judge is told about one category; `role` names those who answer."""

    role: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a file such as the released `rule.json`, by category."""

    path: Path
    by_category: dict[str, Rule]

    def require(self, cases: Iterable[Case]) -> None:
        """Raise `InputError` if a case has no rule."""
        for case in cases:
            self.find(case)

    def find(self, case: Case) -> Rule:
        """Return the rule of a case's category. Raises `InputError`."""
        names = _list_names(case)
        rule = next((self.by_category[name] for name in names if name in self.by_category), None)
        if rule is None:
            question = f"question {case.question_id}"
            raise InputError(self.path, f"no rule {' or '.join(names)}, which {question} needs")
        return rule

    def build_prompt(self, case: Case, reference: str, candidate: str) -> str:
        """Build the judge's prompt in the released layout. Raises `InputError`."""
        rule = self.find(case)
        sections = (
            f"[Context]\n{case.context.to_released_text()}",
            f"[Question]\n{case.question.text}",
            *_lay_out_answer(f"{rule.role} 1", reference),
            *_lay_out_answer(f"{rule.role} 2", candidate),
            f"[System]\n{rule.prompt}",
        )
        return "".join(f"{section}\n\n" for section in sections)


def read_rules(path: Path) -> Rules:
    """Read a file of `{category: {"role", "prompt"}}`. Raises `InputError`."""
    try:
        return Rules(path, TypeAdapter(dict[str, Rule]).validate_python(read_json(path)))
    except ValidationError as error:
        raise InputError(path, describe_validation_error(error)) from None


def _list_names(case: Case) -> list[str]:
    category = case.question.category
    plain: list[str] = ["conv", category] if category == "conversation" else [category]
    prefixed = [f"llava_bench_{name}" for name in plain]
    return [*prefixed, *plain] if case.context.is_llava_bench else plain


def _lay_out_answer(name: str, text: str) -> tuple[str, str]:
    return f"[{name}]\n{text}", f"[End of {name}]"
