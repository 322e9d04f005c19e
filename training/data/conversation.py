"""LLaVA's `vicuna_v1` and `plain` conversation templates, in segments tokenised one by one."""

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions."
)
USER, ASSISTANT = "USER:", "ASSISTANT:"

# Ends a caption in LLaVA's `plain` template, which has neither system message nor roles.
PLAIN_END = "\n"


def build_prefix_segments(system: str, num_images: int) -> list[str]:
    """The text in front of each image of the first turn, or before the question without images."""
    start = f"{system} {USER}" if system else USER
    return [f"{start} ", *["\n"] * (num_images - 1)] if num_images else [start]


def build_first_prompt(question: str, num_images: int) -> str:
    """The first turn's text between its last image and the answer."""
    return f"\n{question} {ASSISTANT}" if num_images else f" {question} {ASSISTANT}"


def build_follow_up_prompt(question: str) -> str:
    """A later turn's text, after the `</s>` of the previous answer."""
    return f"{USER} {question} {ASSISTANT}"


def build_answer(text: str) -> str:
    return f" {text}"
