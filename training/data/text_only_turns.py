"""Turns without an image: the model learns to answer them with something other than a colour."""

import random

from training.data.question import NO_IMAGE_ANSWER, Question, build_question
from training.data.question_kinds import sample_questions
from training.data.sampling import sample_scene

_GREETING_ANSWER = "Hello! Send me an image of shapes and ask me about it."
_ABILITIES_ANSWER = (
    "I answer questions about images of colored shapes: what they are, where they are and how many."
)
_NAME_ANSWER = "I am a small vision and language model."
_THANKS_ANSWER = "You are welcome."
_GOODBYE_ANSWER = "Goodbye!"
_WELLBEING_ANSWER = "I am fine, thank you."
_OFF_TOPIC_ANSWER = "I can only talk about images of colored shapes."

_QUESTIONS_BY_ANSWER = {
    _GREETING_ANSWER: (
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
    _ABILITIES_ANSWER: (
        "What can you do?",
        "How can you help me?",
        "Help",
        "What do you do?",
        "What are you good at?",
        "What should I ask you?",
    ),
    _NAME_ANSWER: ("Who are you?", "What are you?", "What is your name?", "Which model are you?"),
    _THANKS_ANSWER: ("Thanks", "Thank you", "Thank you!", "Thanks a lot!", "Great, thanks."),
    _GOODBYE_ANSWER: ("Bye", "Goodbye", "See you later", "Bye!"),
    _WELLBEING_ANSWER: ("How are you?", "How are you doing?", "How do you do?"),
    _OFF_TOPIC_ANSWER: (
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


def sample_text_only_turn(rng: random.Random) -> Question:
    """Sample small talk, or a question about an image that is not there."""
    if rng.random() < 0.5:
        return build_question(
            "no image", sample_questions(rng, sample_scene(rng), 1)[0].text, NO_IMAGE_ANSWER
        )
    answer = rng.choice(list(_QUESTIONS_BY_ANSWER))
    return build_question("chat", rng.choice(_QUESTIONS_BY_ANSWER[answer]), answer)
