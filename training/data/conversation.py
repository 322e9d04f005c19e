"""LLaVA's `vicuna_v1` conversation, in the pieces that are tokenised each by itself."""

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions."
)
USER, ASSISTANT = "USER:", "ASSISTANT:"


# What ends a caption in LLaVA's `plain` conversation, which has neither system message nor roles.
PLAIN_END = "\n"


def opening(system: str, images: int) -> list[str]:
    """The text in front of each of the first turn's images, or all that precedes the question."""
    start = f"{system} {USER}" if system else USER
    return [f"{start} ", *["\n"] * (images - 1)] if images else [start]


def prompt(question: str, images: int) -> str:
    """The first turn's text after its last image, up to where the answer begins."""
    return f"\n{question} {ASSISTANT}" if images else f" {question} {ASSISTANT}"


def follow_up(question: str) -> str:
    """A later turn's text, after the `</s>` of the answer before."""
    return f"{USER} {question} {ASSISTANT}"


def answer(text: str) -> str:
    return f" {text}"
