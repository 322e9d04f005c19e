"""Questions: every answer follows from the scene."""

import random

import pytest

from training.data.captions import describe
from training.data.dialogues import sample_single_image_dialogue, sample_two_image_dialogue
from training.data.question_kinds import KINDS, sample_question
from training.data.reasoning_questions import REASONING_KINDS
from training.data.sampling import sample_scenes
from training.data.scenes import (
    BACKGROUND_COLORS,
    COLORS,
    DIGITS,
    NOUNS,
    PLACES,
    SIZES,
    WORDS,
    Background,
    Scene,
    Thing,
)
from training.data.simple_questions import SIMPLE_KINDS
from training.data.text_only_turns import sample_text_only_turn


def _thing(noun: str, color: str, place: str, size: str = "large") -> Thing:
    return Thing(noun, color, size, place, 0.0, 0.0, 1.0, 0.0, 0.3, (0, 0, 0))


SCENE = Scene(
    width=90,
    height=90,
    ground=Background("light blue", (190, 210, 250)),
    things=(
        _thing("circle", "orange", "top left"),
        _thing("star", "blue", "center", "small"),
        _thing("word sun", "green", "right"),
        _thing("star", "red", "bottom", "medium"),
        _thing("number 7", "black", "bottom right"),
    ),
    smooth=True,
    noise=0.0,
    jpeg=None,
    seed=0,
)


def _answers(kind: str) -> dict[str, str]:
    rng = random.Random(3)
    questions = [sample_question(rng, SCENE, kind) for _ in range(6000)]
    return {question.text: question.answer for question in questions if question}


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        ("color", "What color is the circle?", "orange"),
        ("color", "What color is the number 7?", "black"),
        ("color", "What color is the square?", "there is no square"),
        ("where", "Where is the blue star?", "center"),
        ("where shape", "Where is the circle?", "top left"),
        ("where color", "Where is the red shape?", "bottom"),
        ("where color", "Where is the green word?", "right"),
        ("count", "How many shapes are there?", "3"),
        ("count shape", "How many stars are there?", "2"),
        ("count shape", "How many crosses are there?", "0"),
        ("count color", "How many red shapes are there?", "1"),
        ("count color", "How many green shapes are there?", "0"),
        ("exists", "Is there a red star?", "yes"),
        ("exists", "Is there a red circle?", "no"),
        ("exists", "Is there an orange circle?", "yes"),
        ("exists", "Is there a green word sun?", "yes"),
        ("exists shape", "Is there a square?", "no"),
        ("exists color", "Is there a green shape?", "no"),
        ("exists text", "Is there a number?", "yes"),
        ("at place", "What is at the top left?", "an orange circle"),
        ("at place", "What is at the right?", "a green word sun"),
        ("at place", "What is at the left?", "nothing"),
        ("color at", "What color is the shape at the bottom?", "red"),
        ("shape of", "What shape is blue?", "star"),
        ("size", "What size is the circle?", "large"),
        ("size", "What size is the blue star?", "small"),
        ("background", "What color is the background?", "light blue"),
        ("read", "What number is printed?", "7"),
        ("read", "What does the word say?", "sun"),
        (
            "detail",
            "Describe the image in detail.",
            "The image shows 5 things on a light blue background: a large orange circle at the top "
            "left, a small blue star at the center, a green word sun at the right, a medium red "
            "star at the bottom, a black number 7 at the bottom right.",
        ),
        (
            "compare sizes",
            "Which is larger, the blue star or the orange circle?",
            "The blue star is small and the orange circle is large, so the orange circle.",
        ),
        (
            "compare counts",
            "Are there more stars than circles?",
            "There are 2 stars and 1 circle, so yes.",
        ),
        (
            "compare counts",
            "Are there more squares than stars?",
            "There are 0 squares and 2 stars, so no.",
        ),
        (
            "count if",
            "How many shapes are not blue?",
            "The orange circle and the red star, so 2.",
        ),
        ("count if", "How many shapes are in the middle row?", "The blue star, so 1."),
        ("count if", "How many shapes are large?", "The orange circle, so 1."),
        (
            "relative position",
            "Is the orange circle above the red star?",
            "The orange circle is at the top left and the red star is at the bottom, so yes.",
        ),
        (
            "relative position",
            "Is the orange circle to the right of the red star?",
            "The orange circle is at the top left and the red star is at the bottom, so no.",
        ),
        (
            "what is missing",
            "Which of these is missing: circle, cross or star?",
            "There is a circle and a star, so the cross is missing.",
        ),
    ],
)
def test_answers_follow_from_the_scene(kind: str, text: str, answer: str) -> None:
    assert _answers(kind)[text] == answer


def test_no_question_has_two_answers() -> None:
    rng = random.Random(4)
    for kind in KINDS:
        answers: dict[str, str] = {}
        for _ in range(2000):
            if question := sample_question(rng, SCENE, kind):
                assert answers.setdefault(question.text, question.answer) == question.answer


def test_an_answer_refers_to_places_of_things() -> None:
    rng = random.Random(14)
    for scene in sample_scenes(15, 100):
        for kind in REASONING_KINDS:
            question = sample_question(rng, scene, kind)
            for part in question.parts if question else ():
                assert all(scene.thing_at(place) for place in part.places)


def test_no_question_is_about_an_ambiguous_thing() -> None:
    assert not any("star" in text and "blue" not in text for text in _answers("color"))


def test_existence_questions_are_balanced() -> None:
    rng = random.Random(5)
    scenes = sample_scenes(6, 2000)
    questions = [
        question for scene in scenes if (question := sample_question(rng, scene, "exists"))
    ]
    yes = sum(question.answer == "yes" for question in questions) / len(questions)
    assert 0.42 < yes < 0.58


def test_description_lists_things_in_reading_order() -> None:
    assert describe(SCENE) == (
        "An orange circle at the top left, a blue star at the center, a green word sun at the "
        "right, a red star at the bottom, a black number 7 at the bottom right."
    )


def test_simple_answers_except_descriptions_are_short_and_lower_case() -> None:
    rng = random.Random(8)
    attributes = {*COLORS, *PLACES, *NOUNS, *SIZES, *BACKGROUND_COLORS, *WORDS, *DIGITS}
    words = {*attributes, "yes", "no", "nothing"}
    for scene in sample_scenes(9, 100):
        for kind in SIMPLE_KINDS:
            question = sample_question(rng, scene, kind)
            if question is None:
                continue
            if kind == "describe":
                assert question.answer.endswith(".")
            elif question.answer not in words:
                assert question.answer.startswith(("a ", "an ", "there is no "))


def test_a_dialogue_has_many_kinds_of_questions() -> None:
    scenes = list(sample_scenes(10, 3))
    blocks = sample_single_image_dialogue(random.Random(11), scenes, 0).blocks
    assert len({question.kind for block in blocks for question in block}) > 8


def test_questions_on_two_images_name_the_image_they_refer_to() -> None:
    scenes = list(sample_scenes(10, 2))
    for (question,) in sample_two_image_dialogue(random.Random(11), scenes, (0, 1)).blocks:
        assert any(word in question.text for word in ("first", "second", "images"))
        if "images" not in question.text:
            index = int("second" in question.text)
            assert {part.image for part in question.parts} == {index}


def test_answers_without_an_image_say_so() -> None:
    rng = random.Random(12)
    turns = [sample_text_only_turn(rng) for _ in range(50)]
    assert {turn.answer for turn in turns if turn.kind == "no image"} == {"I see no image."}
