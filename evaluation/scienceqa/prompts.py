"""From a problem to the question that a model gets."""

from enum import StrEnum
from typing import Final

from evaluation.scienceqa.problems import LETTERS, Problem

# What LLaVA-1.5 was trained to see after multiple-choice questions (arXiv 2310.03744, table 7).
LETTER_ONLY: Final = "Answer with the option's letter from the given choices directly."


class Order(StrEnum):
    """The order of question (Q), context (C) and multiple options (M)."""

    QCM = "QCM"
    CQM = "CQM"


def build_prompt(
    problem: Problem, order: Order = Order.QCM, caption: str = "", instruction: str = LETTER_ONLY
) -> str:
    """Question, context and options, then the instruction where there is one.

    The layout is that of the released ScienceQA conversion: QCM for the paper's model, CQM for
    LLaVA-1.5. The context is hint and caption, "N/A" without either.
    """
    context = f"Context: {f'{problem.hint} {caption}'.strip() or 'N/A'}"
    if order is Order.QCM:
        lines = [problem.question, context, f"Options: {options(problem)}"]
    else:
        lines = [context, f"Question: {problem.question}", f"Options: {options(problem)}"]
    text = "\n".join(lines).replace("  ", " ").strip()
    return f"{text}\n{instruction}" if instruction else text


def options(problem: Problem) -> str:
    """The choices as `(A) … (B) …`."""
    choices = zip(LETTERS, problem.choices, strict=False)
    return " ".join(f"({letter}) {choice}" for letter, choice in choices)
