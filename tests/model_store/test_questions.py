"""Questions: every answer follows from the scene."""

import random

import pytest

from model_store.recipe.dialogues import single_image, two_images
from model_store.recipe.questions import KINDS, Question, ask_kind, describe
from model_store.recipe.scenes import COLORS, PLACES, SHAPES, Scene, Thing, sample_scenes
from model_store.recipe.smalltalk import chat


def _thing(shape: str, color: str, place: str) -> Thing:
    return Thing(shape, color, place, 0.0, 0.0, 1.0, 0.0, 0.3, (0, 0, 0), None)


SCENE = Scene(
    width=90,
    height=90,
    ground=(128, 128, 128),
    things=(
        _thing("circle", "orange", "top left"),
        _thing("star", "blue", "center"),
        _thing("star", "red", "bottom"),
    ),
    smooth=True,
    noise=0.0,
    jpeg=None,
    seed=0,
)


def _answers(kind: str) -> dict[str, str]:
    rng = random.Random(3)
    asked = [ask_kind(rng, SCENE, kind) for _ in range(3000)]
    return {question.text: question.answer for question in asked if question}


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        ("color", "What color is the circle?", "orange"),
        ("where", "Where is the blue star?", "center"),
        ("where shape", "Where is the circle?", "top left"),
        ("where color", "Where is the red shape?", "bottom"),
        ("count", "How many shapes are there?", "3"),
        ("count shape", "How many stars are there?", "2"),
        ("count shape", "How many crosses are there?", "0"),
        ("count color", "How many red shapes are there?", "1"),
        ("exists", "Is there a red star?", "yes"),
        ("exists", "Is there a red circle?", "no"),
        ("exists", "Is there an orange circle?", "yes"),
        ("exists shape", "Is there a square?", "no"),
        ("at place", "What is at the top left?", "an orange circle"),
        ("at place", "What is at the right?", "nothing"),
        ("color at", "What color is the shape at the bottom?", "red"),
        ("shape of", "What shape is blue?", "star"),
    ],
)
def test_answers_follow_from_the_scene(kind: str, text: str, answer: str) -> None:
    assert _answers(kind)[text] == answer


def test_no_question_has_two_answers() -> None:
    rng = random.Random(4)
    for kind in KINDS:
        answers: dict[str, str] = {}
        for _ in range(2000):
            if question := ask_kind(rng, SCENE, kind):
                assert answers.setdefault(question.text, question.answer) == question.answer


def test_ambiguous_things_are_not_asked_for() -> None:
    assert not any("star" in text and "blue" not in text for text in _answers("color"))


def test_existence_is_asked_about_evenly() -> None:
    rng = random.Random(5)
    scenes = sample_scenes(6, 2000)
    asked = [question for scene in scenes if (question := ask_kind(rng, scene, "exists"))]
    yes = sum(question.answer == "yes" for question in asked) / len(asked)
    assert 0.42 < yes < 0.58


def test_description_lists_things_in_reading_order() -> None:
    assert describe(SCENE) == (
        "An orange circle at the top left, a blue star at the center, a red star at the bottom."
    )


def test_answers_are_short_and_lower_case_but_for_sentences() -> None:
    rng = random.Random(8)
    words = {*COLORS, *PLACES, *SHAPES, "yes", "no", "nothing", *map(str, range(5))}
    for scene in sample_scenes(9, 50):
        for block in single_image(rng, [scene], 0).blocks:
            assert all(_well_formed(question, words) for question in block)


def _well_formed(question: Question, words: set[str]) -> bool:
    if question.kind == "describe":
        return question.answer.endswith(".")
    return question.answer in words or question.answer.startswith(("a ", "an ", "there is no "))


def test_questions_on_two_images_name_one() -> None:
    scenes = list(sample_scenes(10, 2))
    for (question,) in two_images(random.Random(11), scenes, (0, 1)).blocks:
        assert any(word in question.text for word in ("first", "second", "images"))


def test_image_questions_without_an_image_say_so() -> None:
    rng = random.Random(12)
    turns = [chat(rng) for _ in range(50)]
    assert {turn.answer for turn in turns if turn.kind == "no image"} == {"I see no image."}
