"""Conversation: several questions about an image and their answers.

As with the released prompts, the teacher gets no boxes. It knows of places only what the captions
say, and so do the examples.
"""

from typing import Final

from model_store.instruction.captions.prompts.prompt import (
    CAPTION_INSTRUCTIONS,
    PAIR_FORMAT,
    STYLE_INSTRUCTIONS,
    Prompt,
)
from model_store.instruction.captions.prompts.scenes import BUS_STOP, KITCHEN

_TASK: Final = (
    "Write a conversation of three to six questions between a person who asks about the image and "
    "the assistant who sees it. Vary what is asked for: which objects there are, how many, what "
    "they look like, and what they or the people are doing. Begin with what is plain to see; let "
    "at least one later question need some background knowledge or reasoning about what is there. "
    "Ask only what has a sure answer: either the image shows it, or the image surely does not show "
    "it. Ask nothing that one could not answer with confidence, and nothing about places that the "
    "sentences do not tell. Answer plainly, and at more length, with reasons, where the question "
    "wants it."
)
_KITCHEN: Final = """\
Question:
What is the woman doing?
===
Answer:
She is slicing a loaf of bread on a wooden counter.
===
Question:
What is she wearing over her clothes?
===
Answer:
She is wearing a blue apron.
===
Question:
How many cups are on the counter?
===
Answer:
There are two cups on the counter.
===
Question:
Is anybody watching her?
===
Answer:
Yes, a cat is sitting on a chair next to the counter and watches her.
===
Question:
Does it look as if she is making breakfast only for herself?
===
Answer:
Probably not. Two cups are set out on the counter, and she is cutting from a loaf with a bowl of \
oranges at hand, so the meal is more likely meant for two.
==="""
_BUS_STOP: Final = """\
Question:
What kind of vehicle is arriving?
===
Answer:
It is a red double-decker bus.
===
Question:
How many people are waiting?
===
Answer:
Three people are waiting at the stop, a man and two women.
===
Question:
What does the man have with him?
===
Answer:
He has a suitcase with him.
===
Question:
Is the sun shining?
===
Answer:
No, it is raining. The street is wet, and the people stand under umbrellas.
===
Question:
Why might the man prefer the bus to walking today?
===
Answer:
It is raining and the street is wet, so walking would be unpleasant, even under an umbrella. He \
also has a suitcase with him, which is tiresome to pull over wet pavement and may mean that he has \
a longer way to go.
==="""

CONVERSATION: Final = Prompt(
    "\n\n".join((CAPTION_INSTRUCTIONS, _TASK, STYLE_INSTRUCTIONS, PAIR_FORMAT)),
    ((KITCHEN.captions_as_text(), _KITCHEN), (BUS_STOP.captions_as_text(), _BUS_STOP)),
    has_boxes=False,
)
