"""A teacher's prompt, and the instructions that all kinds share."""

from dataclasses import dataclass
from typing import Final

CAPTION_INSTRUCTIONS: Final = (
    "You help to write what an assistant that can see says about images. You are not given the "
    "image itself. You are given what several people wrote about it, one sentence a line. The "
    "people may contradict each other and may leave things out."
)
CONTEXT_INSTRUCTIONS: Final = (
    "You help to write what an assistant that can see says about images. You are not given the "
    "image itself. You are given what several people wrote about it, one sentence a line, and "
    "after an empty line the objects in it, one a line with its place: `category: [x1, y1, x2, "
    "y2]`, the left, top, right and bottom edge as shares of the image's width and height. 0 is "
    "the left or the top edge of the image, 1 the right or the bottom edge. The people may "
    "contradict each other and may leave things out; not every object is in the list."
)
STYLE_INSTRUCTIONS: Final = (
    "Everything you write must sound like somebody who looks at the image. Never let on where "
    "your knowledge comes from: no word about captions, sentences, lists, boxes or coordinates, "
    "and none of their numbers. Say with words where things are, how many there are, which is "
    "nearer, larger or further left. Claim nothing that does not follow from what you are given, "
    "and invent no colors, names, brands or writings."
)
PAIR_FORMAT: Final = (
    "Write nothing but this form, with a line of three equals signs after every question and "
    "after every answer:\n"
    "Question:\n(the question)\n===\nAnswer:\n(the answer)\n==="
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A system message and few-shot examples, each an input with the expected answer.

    With `has_boxes` the teacher also gets the boxes of the image's objects.
    """

    system: str
    examples: tuple[tuple[str, str], ...]
    has_boxes: bool = True
