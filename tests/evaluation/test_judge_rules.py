"""The released judge's rules and prompt, LLaVA-Bench's files, and reviews without a judge."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from asking.errors import InputError
from evaluation.__main__ import app
from evaluation.relative_score.inputs import Case, Context, QuestionRecord
from evaluation.relative_score.reviews_file import score_reviews_file
from evaluation.relative_score.rules import read_rules
from tests.asking.process import write_lines
from tests.asking.scripted import Reply, Request, completion_reply, serve_script
from tests.evaluation.process import run_evaluation

RULES = {
    "conv": {"role": "Assistant", "prompt": "Grade the talk."},
    "detail": {"role": "Assistant", "prompt": "Grade the description."},
    "llava_bench_conv": {"role": "Helper", "prompt": "Grade the talk about a wild image."},
}
CAPTIONS = {
    "image": "1.png",
    "captions": ["A cat.", "It sleeps."],
    "instances": [{"category": "cat", "bbox": [0, 0.25, 1, 0.5]}],
}


def write_rules(folder: Path) -> Path:
    path = folder / "rule.json"
    path.write_text(json.dumps(RULES))
    return path


def case(category: str = "conv", **context: Any) -> Case:
    question = {"question_id": 0, "image": "1.png", "text": "What?", "category": category}
    record = {"image": "1.png", **context} if context else CAPTIONS
    return Case(QuestionRecord.model_validate(question), Context.model_validate(record))


def test_the_released_layout(tmp_path: Path) -> None:
    prompt = read_rules(write_rules(tmp_path)).build_prompt(case(), "A tabby.", "A dog.")
    assert prompt == (
        "[Context]\nA cat.\nIt sleeps.\n\ncat: [0, 0.25, 1, 0.5]\n\n"
        "[Question]\nWhat?\n\n"
        "[Assistant 1]\nA tabby.\n\n[End of Assistant 1]\n\n"
        "[Assistant 2]\nA dog.\n\n[End of Assistant 2]\n\n"
        "[System]\nGrade the talk.\n\n"
    )


@pytest.mark.parametrize("caption", ["A wild cat.", ["A wild cat."]])
def test_llava_bench_has_captions_and_rules_of_its_own(tmp_path: Path, caption: Any) -> None:
    rules = read_rules(write_rules(tmp_path))
    prompt = rules.build_prompt(case(caption=caption), "x", "y")
    assert prompt.startswith("[Context]\nA wild cat.\n\n[Question]\nWhat?\n\n[Helper 1]\nx\n\n")
    assert prompt.endswith("[System]\nGrade the talk about a wild image.\n\n")
    other = rules.build_prompt(case("detail", caption=caption), "x", "y")
    assert other.endswith("[System]\nGrade the description.\n\n")


def test_a_category_without_a_rule_is_named(tmp_path: Path) -> None:
    rules = read_rules(write_rules(tmp_path))
    with pytest.raises(InputError, match=r"rule\.json: no rule complex, which question 0 needs"):
        rules.require([case(), case("complex")])


def test_malformed_rules(tmp_path: Path) -> None:
    path = tmp_path / "rule.json"
    path.write_text('{"conv": {"role": "Assistant"}}')
    with pytest.raises(InputError, match=r"rule\.json: conv\.prompt: Field required"):
        read_rules(path)


async def test_llava_bench_with_the_released_judge(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        if request.body["model"] == "judge":
            return completion_reply("0 0\nNothing." if "Q1?" in request.prompt else "8 6\nGood.")
        return completion_reply("A dog.")

    asked = [
        {"question_id": number, "image": "001.png", "category": "conv", "text": f"Q{number}?"}
        for number in range(2)
    ]
    gpt4 = [{"question_id": number, "text": "A cat.", "answer_id": "x"} for number in range(2)]
    context = {"id": "001", "image": "001.png", "caption": "A wild cat."}
    Image.new("RGB", (8, 8)).save(tmp_path / "001.png")
    options = [
        *("--questions", str(write_lines(tmp_path / "questions.jsonl", *asked))),
        *("--context", str(write_lines(tmp_path / "context.jsonl", context))),
        *("--reference-answers", str(write_lines(tmp_path / "answers_gpt4.jsonl", *gpt4))),
        *("--images", str(tmp_path), "--out", str(tmp_path / "out")),
        *("--rules", str(write_rules(tmp_path)), "--model", "m", "--judge-model", "judge"),
    ]
    async with serve_script(answer) as there:
        urls = ("--base-url", there.url, "--judge-base-url", there.url)
        finished = await run_evaluation("relative-score", *options, *urls, "--json")
    assert finished.code == 0, finished.stderr
    judged = [request.body for request in there.requests if request.body["model"] == "judge"]
    assert {body["temperature"] for body in judged} == {0.2}
    assert {body["messages"][0]["role"] for body in judged} == {"system"}
    assert "[Helper 2]\nA dog.\n\n[End of Helper 2]" in judged[0]["messages"][1]["content"]
    results = json.loads(finished.stdout)
    # (6 + 0) / (8 + 0), the grades of 0 included
    assert results["score"] == pytest.approx(75.0)
    assert (results["count"], results["candidate"]) == (2, 3.0)

    reviews = tmp_path / "out" / "reviews.jsonl"
    again = CliRunner().invoke(app, ["relative-score", "--reviews", str(reviews), "--json"])
    assert json.loads(again.stdout)["score"] == pytest.approx(75.0)


def test_released_reviews_by_hand(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "reviews.jsonl",
        {"question_id": 0, "category": "conv", "content": "8 6\nx", "tuple": [8.0, 6.0]},
        {"question_id": 1, "category": "conv", "content": "9, 9", "tuple": [9.0, 9.0]},
        {"question_id": 2, "category": "detail", "content": "10 0", "tuple": [10.0, 0.0]},
    )
    outcome = CliRunner().invoke(app, ["relative-score", "--reviews", str(path), "--json"])
    assert outcome.exit_code == 0, outcome.stderr
    results = json.loads(outcome.stdout)
    # conv: 15 / 17; detail: 0 / 10; all: 15 / 27
    assert results["kinds"]["conv"]["score"] == pytest.approx(100 * 15 / 17)
    assert results["kinds"]["detail"]["score"] == pytest.approx(0.0)
    assert results["score"] == results["score_with_failures"] == pytest.approx(100 * 15 / 27)
    assert results["grades"] == {"0": [8, 6], "1": [9, 9], "2": [10, 0]}


def test_reviews_without_grades_are_set_aside(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "reviews.jsonl",
        {"score": [8, 6]},
        {"content": "I cannot grade this.\nSorry.", "tuple": [-1, -1]},
    )
    out = tmp_path / "out"
    command = ["relative-score", "--reviews", str(path), "--out", str(out)]
    outcome = CliRunner().invoke(app, command)
    results = json.loads((out / "results.json").read_text())
    assert results["score"] == pytest.approx(75.0)
    assert results["set_aside"] == {"review 2": "I cannot grade this."}
    # as the released summary: (6 - 1) / (8 - 1)
    assert results["score_with_failures"] == pytest.approx(100 * 5 / 7)
    assert "LLaVA's own summary counts each as -1: 71.43" in outcome.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"question_id": 1}\n', "reviews.jsonl:1: Value error, neither tuple nor score nor text"),
        ('{"tuple": [1]}\n', "reviews.jsonl:1: tuple"),
        ("", "reviews.jsonl: no reviews"),
    ],
)
def test_malformed_reviews(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        score_reviews_file(path)
    assert problem in str(error.value)


def test_without_reviews_the_inputs_are_needed() -> None:
    outcome = CliRunner().invoke(app, ["relative-score"])
    assert outcome.exit_code == 2
    assert "--questions, --context, --out" in outcome.stderr
