"""Conversation, by a teacher that also gets boxes: it may ask where things are."""

from typing import Final

from model_store.instruction.captions.prompts.prompt import (
    CONTEXT_INSTRUCTIONS,
    PAIR_FORMAT,
    STYLE_INSTRUCTIONS,
    Prompt,
)
from model_store.instruction.captions.prompts.scenes import BUS_STOP, KITCHEN

_TASK: Final = (
    "Write a conversation of three to six questions between a person who asks about the image and "
    "the assistant who sees it. Vary what is asked for: which objects there are, how many, what "
    "they look like, what they or the people are doing, where something is, and where two things "
    "are relative to each other. Begin with what is plain to see; let at least one later question "
    "need some background knowledge or reasoning about what is there. Ask only what has a sure "
    "answer: either the image shows it, or the image surely does not show it. Ask nothing that "
    "one could not answer with confidence. Answer plainly, and at more length, with reasons, where "
    "the question wants it."
)
_KITCHEN: Final = """\
Question:
What is the woman doing?
===
Answer:
She is slicing a loaf of bread on the wooden counter.
===
Question:
What is she wearing over her clothes?
===
Answer:
She is wearing a blue apron.
===
Question:
How many cups are on the counter, and where are they?
===
Answer:
There are two cups. They stand next to each other on the counter, to the right of the woman, \
between her and the bowl.
===
Question:
Where is the cat?
===
Answer:
The cat is on the left side, sitting on a chair beside the counter and watching the woman.
===
Question:
Does it look as if she is making breakfast only for herself?
===
Answer:
Probably not. Two cups are set out on the counter, and she is cutting from a whole loaf with a \
bowl of several oranges at hand, so the meal is more likely meant for two.
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
On which side of the people is the bus?
===
Answer:
The bus is to the right of them and fills most of the right half of the image.
===
Question:
Is the sun shining?
===
Answer:
No, it is raining. The street is wet, and all three people hold umbrellas.
===
Question:
Why might the man prefer the bus to walking today?
===
Answer:
It is raining and the street is wet, so walking would be unpleasant, even under an umbrella. He \
also has a suitcase with him, which is tiresome to pull over wet pavement and may mean that he has \
a longer way to go.
==="""

CONVERSATION_WITH_BOXES: Final = Prompt(
    "\n\n".join((CONTEXT_INSTRUCTIONS, _TASK, STYLE_INSTRUCTIONS, PAIR_FORMAT)),
    ((KITCHEN.as_text(), _KITCHEN), (BUS_STOP.as_text(), _BUS_STOP)),
)
