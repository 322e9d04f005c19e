"""Prompts for ScienceQA problems."""

from enum import StrEnum
from typing import Final

from evaluation.scienceqa.problems import LETTERS, Problem

# LLaVA-1.5 was trained with this after multiple-choice questions (arXiv 2310.03744, table 7).
LETTER_ONLY: Final = "Answer with the option's letter from the given choices directly."


class Order(StrEnum):
    """The order of question (Q), context (C) and multiple options (M)."""

    QCM = "QCM"
    CQM = "CQM"


def build_prompt(
    problem: Problem, order: Order = Order.QCM, caption: str = "", instruction: str = LETTER_ONLY
) -> str:
    """Build a prompt of question, context and options, then the instruction, if any.

    The layout is that of the released ScienceQA conversion: QCM for the paper's model, CQM for
    LLaVA-1.5. The context is hint and caption, "N/A" without either.
    """
    context = f"Context: {f'{problem.hint} {caption}'.strip() or 'N/A'}"
    if order is Order.QCM:
        lines = [problem.question, context, f"Options: {format_options(problem)}"]
    else:
        lines = [context, f"Question: {problem.question}", f"Options: {format_options(problem)}"]
    text = "\n".join(lines).replace("  ", " ").strip()
    return f"{text}\n{instruction}" if instruction else text


def format_options(problem: Problem) -> str:
    """Format the choices as `(A) … (B) …`."""
    choices = zip(LETTERS, problem.choices, strict=False)
    return " ".join(f"({letter}) {choice}" for letter, choice in choices)
