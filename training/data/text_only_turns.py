"""Turns without an image: short answers, so that a greeting does not get a colour for a reply."""

import random

from training.data.question import NO_IMAGE, Question, question
from training.data.question_kinds import ask
from training.data.sampling import sample_scene

_HELLO = "Hello! Send me an image of shapes and ask me about it."
_ABILITIES = (
    "I answer questions about images of colored shapes: what they are, where they are and how many."
)
_NAME = "I am a small vision and language model."
_THANKS = "You are welcome."
_BYE = "Goodbye!"
_FINE = "I am fine, thank you."
_UNKNOWN = "I can only talk about images of colored shapes."

_TURNS = {
    _HELLO: (
        "Hello",
        "Hello!",
        "Hi",
        "Hi!",
        "Hey",
        "Hi there",
        "Good morning",
        "Say hello",
        "Hello there!",
    ),
    _ABILITIES: (
        "What can you do?",
        "How can you help me?",
        "Help",
        "What do you do?",
        "What are you good at?",
        "What should I ask you?",
    ),
    _NAME: ("Who are you?", "What are you?", "What is your name?", "Which model are you?"),
    _THANKS: ("Thanks", "Thank you", "Thank you!", "Thanks a lot!", "Great, thanks."),
    _BYE: ("Bye", "Goodbye", "See you later", "Bye!"),
    _FINE: ("How are you?", "How are you doing?", "How do you do?"),
    _UNKNOWN: (
        "What is the capital of France?",
        "Tell me a joke.",
        "Write a poem.",
        "What is 2 + 2?",
        "Tell me a story.",
        "What time is it?",
        "Explain gravity.",
        "Who won the game?",
        "Count to ten.",
        "Write a long story about the sea.",
    ),
}


def chat(rng: random.Random) -> Question:
    """A turn of a conversation that shows no image."""
    if rng.random() < 0.5:
        return question("no image", ask(rng, sample_scene(rng), 1)[0].text, NO_IMAGE)
    answer = rng.choice(list(_TURNS))
    return question("chat", rng.choice(_TURNS[answer]), answer)
