"""Complex reasoning: a question beyond what is visible, answered step by step."""

from typing import Final

from model_store.instruction.captions.prompts.prompt import (
    CONTEXT_INSTRUCTIONS,
    PAIR_FORMAT,
    STYLE_INSTRUCTIONS,
    Prompt,
)
from model_store.instruction.captions.prompts.scenes import KITCHEN, PARK

_TASK: Final = (
    "Write one question about the image that takes thought, and its answer. The question must go "
    "beyond what is there: ask why things are as they are, what led to them or is about to happen, "
    "what to watch out for, what a person in the scene needs or should do, or what one might "
    "conclude. Do not give away in the question what the image shows, so that one has to look "
    "before one can reason. It must have an answer that the image and common knowledge support; do "
    "not ask what could only be guessed. Let the answer begin with what is seen and matters, and "
    "then reason from it to a conclusion, in a paragraph or two."
)
_KITCHEN: Final = """\
Question:
What should the person be careful about to keep what she is preparing safe and clean?
===
Answer:
The woman is slicing bread with a knife at the counter, and a cat is sitting on a chair close to \
her and watching. Two things follow. While she cuts, a curious cat that jumps up could startle her \
or bump her arm, and with a blade in her hand even a small slip may hurt one of them, so she \
should keep an eye on it.

The food also lies open within the animal's reach: the bread is on the counter, along with cups \
and a bowl of oranges. A cat on the counter would leave hair and dirt on it. She would do well to \
keep the cat away from the counter until the meal is on the table, and to put the knife out of \
reach once the bread is cut.
==="""
_PARK: Final = """\
Question:
What does the scene tell about how used these two are to what they are doing?
===
Answer:
The dog is in the air with all four paws off the ground and stretches towards a frisbee that is \
just ahead of it. To meet a flying disc a dog has to judge its path and time its jump, which it \
learns by repetition; a dog that is new to the game would more likely run after the disc and pick \
it up from the grass.

The man stands at some distance and simply watches, which fits a game whose course both know: he \
throws, the dog runs and catches. They have also come to an open field with room to run, where \
there is nothing close to the dog that it could run into. All of this suggests that the two have \
played this game many times before.
==="""

COMPLEX: Final = Prompt(
    "\n\n".join((CONTEXT_INSTRUCTIONS, _TASK, STYLE_INSTRUCTIONS, PAIR_FORMAT)),
    ((KITCHEN.as_text(), _KITCHEN), (PARK.as_text(), _PARK)),
)
