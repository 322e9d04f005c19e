"""Detailed description: a request drawn from a list, and a description of everything visible."""

import random
from typing import Final

from model_store.instruction.captions.prompts.prompt import (
    CONTEXT_INSTRUCTIONS,
    STYLE_INSTRUCTIONS,
    Prompt,
)
from model_store.instruction.captions.prompts.scenes import BUS_STOP, PARK

_TASK: Final = (
    "Describe the image thoroughly, in one or a few paragraphs of flowing text. Begin with what it "
    "is about as a whole, then go through what is there: the people and what they do, the objects, "
    "how many of them, what they are like, and where they are in the image and relative to each "
    "other. Give the less striking things their place too. Leave out whatever is not sure. Write "
    "the description alone: no title, no list, no words to the reader before or after it."
)
_BUS_STOP: Final = (
    "The image shows a rainy moment on a city street. A red double-decker bus is pulling up and "
    "takes up most of the right half of the scene, from the upper part down to the wet road.\n\n"
    "On the left, three people, a man and two women, stand side by side waiting for it. Each of "
    "them has an umbrella overhead, and the three umbrellas form a nearly unbroken row above them. "
    "A suitcase stands on the ground to the right of the group, between the waiting people and the "
    "bus, so that it is ready to be taken aboard. The street around them is wet from the rain."
)
_PARK: Final = (
    "In a grassy park, a brown dog is caught in mid-air as it leaps for a yellow frisbee. All four "
    "of its paws are off the ground, and the disc hovers just above and to the right of it, "
    "nearly within reach. The two are in the middle of the scene and draw the eye at once.\n\n"
    "To the left stands a man in shorts, the dog's owner, who follows the jump. He takes up much "
    "of the height of the image, while the dog is in the air at about the height of his body. On "
    "the right side of the field there is a bench with a bicycle parked at it, and a backpack "
    "rests near the bench's left end."
)

DETAIL: Final = Prompt(
    "\n\n".join((CONTEXT_INSTRUCTIONS, _TASK, STYLE_INSTRUCTIONS)),
    ((BUS_STOP.as_text(), _BUS_STOP), (PARK.as_text(), _PARK)),
)

REQUESTS: Final = (
    "Describe this image in detail.",
    "What can be seen in this picture? Please be thorough.",
    "Give me a full account of what this image shows.",
    "Please walk me through everything in this photo.",
    "I would like a detailed description of this picture.",
    "Tell me as much as you can about what is in the image.",
    "Could you describe the scene with all its details?",
    "Write a rich description of the photo.",
    "Explain at length what is going on in this image.",
    "Imagine that I cannot see this picture. What does it show?",
    "What is in this image, and where? Leave nothing out.",
    "Please take a close look at the picture and describe it fully.",
    "Go through this photo piece by piece and say what you see.",
    "Paint me a picture in words of what this image contains.",
    "Can you put this whole scene into words, down to the small things?",
    "Describe who and what appears here, and how it is arranged.",
)


def draw_request(draw: random.Random) -> str:
    """Draw a request for a detailed description."""
    return draw.choice(REQUESTS)
