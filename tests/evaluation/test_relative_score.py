"""The judge's grades, and the whole protocol with three scripted models."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from asking.errors import InputError
from evaluation.relative_score.inputs import Case, Context, QuestionRecord, read_answers, read_cases
from evaluation.relative_score.prompts import build_judge_prompt, build_reference_prompt
from evaluation.relative_score.review import GradePair, parse_grades
from evaluation.relative_score.score import score_reviews
from tests.asking.process import read_lines, write_lines
from tests.asking.scripted import Reply, Request, completion_reply, serve_script
from tests.evaluation.process import run_evaluation

KINDS = ("conv", "detail", "complex")


@pytest.mark.parametrize(
    ("review", "grades"),
    [
        ("8 9\nBecause.", (8, 9)),
        ("8, 9", (8, 9)),
        ("8,9\n", (8, 9)),
        (" 7.5   10 \r\nx", (7.5, 10)),
        ("1 1", (1, 1)),
        ("\n8 9", None),
        ("", None),
        ("8", None),
        ("8 9 7", None),
        ("8/10 9/10", None),
        ("Grades: 8 9", None),
        ("0 9", (0, 9)),
        ("0 0", (0, 0)),
        ("8 11", None),
        ("10.5 9", None),
        ("-8 9", None),
        ("eight nine", None),
        ("8. 9.", None),
        ("nan 9", None),
        ("89", None),
    ],
)
def test_grades(review: str, grades: tuple[float, float] | None) -> None:
    assert parse_grades(review) == (GradePair(*grades) if grades else None)


def question(number: int, kind: str, image: str = "1.png") -> dict[str, Any]:
    return {"question_id": number, "image": image, "text": f"Question {number}?", "category": kind}


def cases(count: int) -> list[Case]:
    context = Context(image="1.png", captions=["A cat."])
    return [
        Case(QuestionRecord.model_validate(question(number, KINDS[number % 3])), context)
        for number in range(count)
    ]


def test_the_score_by_hand() -> None:
    reviews = {"0": "8 4", "1": "10 9", "2": "5 6", "3": "8 8\nfine", "4": "10/10 9/10"}
    result = score_reviews(cases(6), reviews)
    # conversation: (4 + 8) / (8 + 8); detail: 9 / 10; complex: 6 / 5; all: 27 / 31
    assert result.kinds["conversation"].score == pytest.approx(75.0)
    assert result.kinds["detail"].score == pytest.approx(90.0)
    assert result.kinds["complex"].score == pytest.approx(120.0)
    assert result.overall.score == pytest.approx(100 * 27 / 31)
    assert result.overall.to_json()["count"] == 4
    assert result.set_aside == {"4": "10/10 9/10"}
    assert result.missing == ("5",)


def test_nothing_to_score() -> None:
    assert score_reviews(cases(3), {}).overall.score is None


def test_prompts_hold_what_they_should_in_order() -> None:
    boxes = [{"category": "cat", "bbox": [0.1, 0.2, 0.3, 0.4]}]
    context = Context.model_validate(
        {"image": "1.png", "captions": ["A cat.", "It sleeps."], "instances": boxes}
    )
    case = Case(QuestionRecord.model_validate(question(0, "conv")), context)
    parts = ("A cat.\nIt sleeps.", "cat: [0.1, 0.2, 0.3, 0.4]", "Question 0?")
    for part in parts:
        assert part in build_reference_prompt(case)
    judging = build_judge_prompt(case, "THE REFERENCE", "THE CANDIDATE")
    places = [judging.index(part) for part in (*parts, "THE REFERENCE", "THE CANDIDATE")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"question_id": 1}, r"q\.jsonl:2: image: Field required"),
        (question(1, "poem"), r"q\.jsonl:2: category: Input should be 'conversation'"),
        (question(0, "conv"), r"q\.jsonl: question 0 is listed twice"),
        (question(1, "conv", "2.png"), r"c\.jsonl: no line for image 2\.png of question 1"),
    ],
)
def test_malformed_questions(tmp_path: Path, line: dict[str, Any], problem: str) -> None:
    questions = write_lines(tmp_path / "q.jsonl", question(0, "conv"), line)
    contexts = write_lines(tmp_path / "c.jsonl", {"image": "1.png", "captions": ["A cat."]})
    with pytest.raises(InputError, match=problem):
        read_cases(questions, contexts)


def test_malformed_answers(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"question_id": 1, "text": "x"}\n\n{"question_id": 2, "text"')
    with pytest.raises(InputError, match=r"a\.jsonl:3: Invalid JSON"):
        read_answers(path)
    with pytest.raises(InputError, match=r"none\.jsonl: No such file"):
        read_answers(tmp_path / "none.jsonl")


def files(folder: Path) -> tuple[str, ...]:
    """Write six questions about one image; return their options."""
    asked = [question(number, KINDS[number % 3]) for number in range(6)]
    questions = write_lines(folder / "q.jsonl", *asked)
    boxes = [{"category": "cat", "bbox": [0, 0, 1, 1]}]
    captions = {"id": "1", "image": "1.png", "captions": ["A cat."], "instances": boxes}
    contexts = write_lines(folder / "c.jsonl", captions)
    (folder / "images").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "images" / "COCO_val2014_1.png")
    return ("--questions", str(questions), "--context", str(contexts))


async def test_the_whole_protocol(tmp_path: Path) -> None:
    grades = dict(enumerate(("8 6", "10 7", "5 5", "8 2", "I would say 9 9", "4 5")))

    def answer(request: Request) -> Reply:
        number = int(request.prompt.split("Question ")[1][0])
        if request.body["model"] == "judge":
            assert f"reference {number}" in request.prompt
            assert f"candidate {number}" in request.prompt
            return completion_reply(f"{grades[number]}\nExplanation.")
        return completion_reply(f"{request.body['model']} {number}")

    async with serve_script(answer) as there:
        options = [*files(tmp_path), "--out", str(tmp_path), "--images", str(tmp_path / "images")]
        for role, name in (("", "candidate"), ("judge-", "judge"), ("reference-", "reference")):
            options += [f"--{role}base-url", there.url, f"--{role}model", name]
        finished = await run_evaluation("relative-score", *options, "--json")
        assert finished.code == 0, finished.stderr
        assert len(there.requests) == 18
        again = await run_evaluation("relative-score", *options)
        assert len(there.requests) == 18
    with_image = {request.body["model"] for request in there.requests if request.image}
    assert with_image == {"candidate"}
    results = json.loads(finished.stdout)
    assert results == json.loads((tmp_path / "results.json").read_text())
    # conversation: (6 + 2) / (8 + 8); detail: 7 / 10; complex: (5 + 5) / (5 + 4); all: 25 / 35
    assert results["score"] == pytest.approx(100 * 25 / 35)
    assert results["kinds"]["conversation"]["score"] == pytest.approx(50.0)
    assert results["kinds"]["detail"]["score"] == pytest.approx(70.0)
    assert results["kinds"]["complex"]["score"] == pytest.approx(100 * 10 / 9)
    assert results["set_aside"] == {"4": "I would say 9 9"}
    assert results["grades"]["0"] == [8, 6]
    assert results["grades"]["4"] is None
    assert "1 review without two grades" in again.stderr
    assert "71.43" in again.stdout
    reviews = read_lines(tmp_path / "reviews.jsonl")
    assert {review["text"].split("\n")[1] for review in reviews} == {"Explanation."}
    assert {review["category"] for review in reviews} == {"conversation", "detail", "complex"}


async def test_given_answers_may_not_lack_one_unseen(tmp_path: Path) -> None:
    given = write_lines(tmp_path / "a.jsonl", {"question_id": 0, "text": "x"})
    answers = ("--reference-answers", str(given), "--candidate-answers", str(given))
    async with serve_script(lambda _: completion_reply("8 4")) as there:
        options = (*files(tmp_path), *answers, "--out", str(tmp_path / "out"))
        command = ("relative-score", *options, "--judge-base-url", there.url)
        finished = await run_evaluation(*command)
        assert finished.code == 1
        problem = f"error: {given}: no answer to question 1, 5 missing in all; "
        assert finished.stderr.startswith(problem)
        finished = await run_evaluation(*command, "--allow-failures", "--json")
    assert json.loads(finished.stdout)["score"] == pytest.approx(50.0)
    assert "5 questions without a review" in finished.stderr
