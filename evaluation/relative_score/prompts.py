"""Prompts of the text-only reference and of the judge; neither sees the image."""

from typing import Final

from evaluation.relative_score.inputs import Case, Kind

REFERENCE_SYSTEM: Final = (
    "Somebody shows you an image and asks about it. What you know of the image are captions by "
    "several people and a list of objects, each with its box [x1, y1, x2, y2]: the left, top, "
    "right and bottom edge as shares of the width and the height. Answer as one who looks at the "
    "image: do not mention captions, lists, boxes or numbers of boxes, and claim nothing that does "
    "not follow from them."
)
_STYLE: Final[dict[Kind, str]] = {
    "conversation": "Answer directly and to the point.",
    "detail": "Describe what is to be seen thoroughly, and where it is.",
    "complex": "Think the matter through and give the reasons along with your answer.",
}

JUDGE_SYSTEM: Final = (
    "You compare answers to questions about images, fairly and strictly. In place of the image you "
    "get captions by several people and a list of objects, each with its box [x1, y1, x2, y2] as "
    "shares of the image's width and height."
)
_JUDGE_TASK: Final = (
    "Grade both answers. Ask of each whether it helps the person who asked, whether it keeps to "
    "the question, whether what it says agrees with the image, and whether it goes into as much "
    "detail as the question wants. A longer answer is not better for its length, and the order in "
    "which the answers stand must not count.\n"
    "Write on the first line nothing but two numbers from 1 (worst) to 10 (best) with a space in "
    "between: the grade of answer 1, then that of answer 2. Explain the grades from the second "
    "line on."
)


def build_reference_prompt(case: Case) -> str:
    """Build the reference's question, with captions and boxes."""
    return (
        f"The image:\n{case.context.to_text()}\n\nThe question:\n{case.question.text}\n\n"
        f"{_STYLE[case.question.category]}"
    )


def build_judge_prompt(case: Case, reference: str, candidate: str) -> str:
    """Build the judge's prompt: captions, boxes, question, both answers, the task."""
    return "\n\n".join(
        (
            f"<captions-and-boxes>\n{case.context.to_text()}\n</captions-and-boxes>",
            f"<question>\n{case.question.text}\n</question>",
            f"<answer-1>\n{reference}\n</answer-1>",
            f"<answer-2>\n{candidate}\n</answer-2>",
            _JUDGE_TASK,
        )
    )
