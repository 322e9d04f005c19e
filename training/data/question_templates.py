"""Templates of questions, and how one is chosen and varied."""

import random
from typing import Final


def fill_template(rng: random.Random, templates: tuple[str, ...], **words: str) -> str:
    """Fill the first template half of the time, else any of them, with occasional variations.

    Variations are a trailing "in the image", British spelling, no capital and question mark, and
    the endings that prompts of benchmarks have.
    """
    template = templates[0] if rng.random() < 0.5 else rng.choice(templates)
    text = template.format(**words)
    if rng.random() < 0.12 and text.endswith("?"):
        text = f"{text[:-1]} in the {rng.choice(('image', 'picture', 'image', 'photo', 'scene'))}?"
    if rng.random() < 0.05:
        text = text.replace("color", "colour")
    if rng.random() < 0.05:
        text = text[0].lower() + text[1:].rstrip("?")
    if rng.random() < 0.07:
        text = f"{text}{rng.choice(_ENDINGS)}"
    return text


_ENDINGS: Final = (
    " Answer with a single word.",
    "\nAnswer the question using a single word or phrase.",
    " Answer briefly.",
    " Please answer in one word.",
    " Answer in one word.",
)

COLOR_TEMPLATES: Final = (
    "What color is the {noun}?",
    "What is the color of the {noun}?",
    "Which color is the {noun}?",
    "Which color does the {noun} have?",
    "Tell me the color of the {noun}.",
    "What color does the {noun} have?",
    "The {noun} is what color?",
)
WHERE_TEMPLATES: Final = (
    "Where is the {noun}?",
    "Where is the {noun} located?",
    "Where can I see the {noun}?",
    "Where do you see the {noun}?",
    "In which place is the {noun}?",
    "What is the position of the {noun}?",
    "Where's the {noun}?",
    "In which part of the image is the {noun}?",
)
COUNT_TEMPLATES: Final = (
    "How many {nouns} are there?",
    "How many {nouns} do you see?",
    "How many {nouns} can you see?",
    "Count the {nouns}.",
    "What is the number of {nouns}?",
    "How many {nouns} does the image show?",
)
EXISTS_TEMPLATES: Final = (
    "Is there {a_noun}?",
    "Do you see {a_noun}?",
    "Can you see {a_noun}?",
    "Is {a_noun} present?",
    "Does the image contain {a_noun}?",
    "Does the picture show {a_noun}?",
    "Is there {a_noun} here?",
)
AT_PLACE_TEMPLATES: Final = (
    "What is at the {place}?",
    "What is in the {place}?",
    "What shape is at the {place}?",
    "What do you see at the {place}?",
    "Which shape is at the {place}?",
    "What's at the {place}?",
    "What is there at the {place}?",
    "What object is at the {place}?",
)
COLOR_AT_TEMPLATES: Final = (
    "What color is the shape at the {place}?",
    "What color is the shape in the {place}?",
    "Which color is the shape at the {place}?",
    "What is the color of the shape at the {place}?",
    "What color is the object at the {place}?",
)
SHAPE_OF_TEMPLATES: Final = (
    "What shape is {color}?",
    "Which shape is {color}?",
    "What is the {color} shape?",
    "What shape is the {color} object?",
    "What shape is the {color} one?",
    "What kind of shape is the {color} one?",
)
DESCRIBE_TEMPLATES: Final = (
    "Describe the image.",
    "Describe this image.",
    "Describe the picture.",
    "What is in the image?",
    "What do you see?",
    "What is in this image?",
    "What's in this image?",
    "What does the image show?",
    "What can you see in the image?",
    "Please describe the image.",
    "Describe what you see.",
    "Give a description of the image.",
)
DETAIL_TEMPLATES: Final = (
    "Describe the image in detail.",
    "Describe this image in detail.",
    "Describe the picture in detail.",
    "Give a detailed description of the image.",
    "What can you see in the image? Tell me everything.",
    "Describe everything that you see.",
    "Please describe the image in every detail.",
)
SIZE_TEMPLATES: Final = (
    "What size is the {noun}?",
    "How big is the {noun}?",
    "What is the size of the {noun}?",
    "Is the {noun} small, medium or large?",
)
BACKGROUND_TEMPLATES: Final = (
    "What color is the background?",
    "What is the color of the background?",
    "Which color is the background?",
    "What is the background color?",
    "What color does the background have?",
)
READ_NUMBER_TEMPLATES: Final = (
    "What number is printed?",
    "Which number is printed?",
    "What is the number?",
    "What number do you see?",
    "Read the number.",
)
READ_WORD_TEMPLATES: Final = (
    "What word is printed?",
    "Which word is printed?",
    "What does the word say?",
    "What does it say?",
    "Read the word.",
)
LARGER_TEMPLATES: Final = (
    "Which is larger, the {one} or the {other}?",
    "Which is bigger, the {one} or the {other}?",
    "What is larger, the {one} or the {other}?",
)
SMALLER_TEMPLATES: Final = (
    "Which is smaller, the {one} or the {other}?",
    "What is smaller, the {one} or the {other}?",
)
MORE_TEMPLATES: Final = (
    "Are there more {ones} than {others}?",
    "Do you see more {ones} than {others}?",
    "Does the image show more {ones} than {others}?",
)
COUNT_IF_TEMPLATES: Final = (
    "How many shapes are {condition}?",
    "How many of the shapes are {condition}?",
    "Count the shapes that are {condition}.",
)
LEFT_OF_TEMPLATES: Final = (
    "Is the {one} to the left of the {other}?",
    "Is the {one} left of the {other}?",
)
RIGHT_OF_TEMPLATES: Final = (
    "Is the {one} to the right of the {other}?",
    "Is the {one} right of the {other}?",
)
ABOVE_TEMPLATES: Final = (
    "Is the {one} above the {other}?",
    "Is the {one} higher than the {other}?",
)
BELOW_TEMPLATES: Final = ("Is the {one} below the {other}?", "Is the {one} lower than the {other}?")
MISSING_TEMPLATES: Final = (
    "Which of these is missing: {nouns}?",
    "What is missing: {nouns}?",
    "Which shape is not there: {nouns}?",
)
