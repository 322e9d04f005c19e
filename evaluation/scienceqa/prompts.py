"""Prompts for ScienceQA problems."""

from enum import StrEnum
from typing import Final

from evaluation.instructions import LETTER_ONLY
from evaluation.scienceqa.problems import LETTERS, Problem


class Layout(StrEnum):
    """How a problem is laid out; which one depends on the model's training data.

    `QCM` (question, context, options) and `CQM` are those of the released ScienceQA conversion; the
    paper's models were trained with `QCM`. `LLAVA_1_5` is that of LLaVA-1.5's question file.
    """

    QCM = "QCM"
    CQM = "CQM"
    LLAVA_1_5 = "llava-1.5"


INSTRUCTIONS: Final = {Layout.QCM: "", Layout.CQM: "", Layout.LLAVA_1_5: LETTER_ONLY}


def build_prompt(
    problem: Problem,
    layout: Layout = Layout.QCM,
    caption: str = "",
    instruction: str | None = None,
) -> str:
    """Build a prompt in a layout, then the instruction, by default the layout's own.

    The context is hint and caption. Without either it is "N/A", or left out in LLaVA-1.5's layout.
    """
    context = f"{problem.hint} {caption}".strip()
    lines = _LINES[layout](problem, context)
    text = "\n".join(lines).replace("  ", " ").strip()
    wanted = INSTRUCTIONS[layout] if instruction is None else instruction
    return f"{text}\n{wanted}" if wanted else text


def format_options(problem: Problem) -> str:
    """Format the choices as `(A) … (B) …`."""
    choices = zip(LETTERS, problem.choices, strict=False)
    return " ".join(f"({letter}) {choice}" for letter, choice in choices)


def _qcm_lines(problem: Problem, context: str) -> list[str]:
    options = f"Options: {format_options(problem)}"
    return [problem.question, f"Context: {context or 'N/A'}", options]


def _cqm_lines(problem: Problem, context: str) -> list[str]:
    options = f"Options: {format_options(problem)}"
    return [f"Context: {context or 'N/A'}", f"Question: {problem.question}", options]


def _llava_1_5_lines(problem: Problem, context: str) -> list[str]:
    choices = zip(LETTERS, problem.choices, strict=False)
    options = [f"{letter}. {choice}" for letter, choice in choices]
    return [*([f"Context: {context}"] if context else []), problem.question, *options]


_LINES: Final = {
    Layout.QCM: _qcm_lines,
    Layout.CQM: _cqm_lines,
    Layout.LLAVA_1_5: _llava_1_5_lines,
}
