"""ScienceQA: prompts, parsing, accuracy, ensembles, and the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from asking.errors import InputError
from evaluation.__main__ import app
from evaluation.scienceqa.accuracy import measure_accuracy
from evaluation.scienceqa.ensemble import PredictionPair
from evaluation.scienceqa.parsing import parse_choice
from evaluation.scienceqa.problems import Problem, ProblemSet, read_predictions, read_problems
from evaluation.scienceqa.prompts import Layout, build_prompt
from tests.asking.process import read_lines, write_lines
from tests.asking.scripted import Reply, Request, completion_reply, serve_script
from tests.evaluation.process import run_evaluation
from tests.evaluation.scienceqa_data import PROBLEMS, SPLITS, problem, write_data

TEST = ProblemSet("test", {key: Problem.model_validate(PROBLEMS[key]) for key in SPLITS["test"]})
PREDICTIONS = {
    "1": "A",  # right: natural, image and text, 1-6
    "2": "The answer is B.",  # right: natural, text, 7-12
    "3": "B. Because it is.",  # wrong: social, image, 1-6
    "4": "C",  # beyond the choices: language, no context, 7-12
    "6": "A",  # of another split
}


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("A", 0),
        ("C", 2),
        ("D", -1),
        ("F", -1),
        ("a", -1),
        (" A", -1),
        ("A\n", -1),
        ("A.", -1),
        ("A. ", 0),
        ("B. Because The answer is A.", 1),
        ("B.Because", -1),
        ("D. x The answer is A.", -1),
        ("F. The answer is A.", 0),
        ("The answer is B.", 1),
        ("So. The answer is C. BECAUSE: it is.", 2),
        ("The answer is B", -1),
        ("The answer is B!", 1),
        ("The answer is B\n", -1),
        ("The answer is Bob", 1),
        ("The answer is D.", -1),
        ("The answer is Z.", -1),
        ("The answer is A. The answer is A.", -1),
        ("The answer is A. The answer is B", 0),
        ("the answer is A.", -1),
        ("The answer is (A).", -1),
        ("LECTURE: x\n###\nANSWER: A.", -1),
        ("FAILED", -1),
        ("", -1),
    ],
)
def test_parsing_with_three_choices(text: str, choice: int) -> None:
    assert parse_choice(text, 3) == choice


def test_layouts_of_the_conversion() -> None:
    both = Problem.model_validate(problem(hint="A  hint.", question="Which?"))
    assert build_prompt(both) == "Which?\nContext: A hint.\nOptions: (A) red (B) green"
    assert build_prompt(both, Layout.CQM, "A caption.", "Answer.") == (
        "Context: A hint. A caption.\nQuestion: Which?\nOptions: (A) red (B) green\nAnswer."
    )
    bare = Problem.model_validate(problem())
    assert "\nContext: N/A\n" in build_prompt(bare)
    assert "\nContext: A caption.\n" in build_prompt(bare, caption="A caption.")


def test_layout_of_llava_1_5() -> None:
    letter = "Answer with the option's letter from the given choices directly."
    both = Problem.model_validate(problem(hint="A hint.", question="Which?"))
    assert build_prompt(both, Layout.LLAVA_1_5) == (
        f"Context: A hint.\nWhich?\nA. red\nB. green\n{letter}"
    )
    bare = Problem.model_validate(problem(question="Which?"))
    assert build_prompt(bare, Layout.LLAVA_1_5) == f"Which?\nA. red\nB. green\n{letter}"
    assert build_prompt(bare, Layout.LLAVA_1_5, instruction="") == "Which?\nA. red\nB. green"


def test_accuracy_by_hand() -> None:
    result = measure_accuracy(TEST, PREDICTIONS)
    assert result.parsed == {"1": 0, "2": 1, "3": 1, "4": -1, "5": -1}
    tallies = {
        name: {group: (tally.correct, tally.count) for group, tally in groups.items()}
        for name, groups in result.by.items()
    }
    assert tallies == {
        "subject": {
            "natural science": (2, 2),
            "social science": (0, 1),
            "language science": (0, 2),
        },
        "modality": {"text context": (2, 2), "image": (1, 2), "no context": (0, 2)},
        "grade": {"1-6": (1, 3), "7-12": (1, 2)},
    }
    assert result.overall.accuracy == pytest.approx(40.0)
    assert result.predicted.accuracy == pytest.approx(50.0)
    assert (result.missing, result.unparsed, result.not_in_split) == (("5",), 1, 1)


def test_complement() -> None:
    second = {"1": "I cannot tell.", "3": "The answer is C.", "4": "B", "5": "No idea."}
    joint = PredictionPair(TEST, PREDICTIONS, second).complement()
    # 1 and 2 from the first; 3 and 4 from the second, both right; 5 has only the second's failure
    assert joint == {
        "1": "A",
        "2": "The answer is B.",
        "3": "The answer is C.",
        "4": "B",
        "5": "No idea.",
    }
    assert measure_accuracy(TEST, joint).overall.accuracy == pytest.approx(80.0)


def test_disputes() -> None:
    second = {"1": "The answer is A.", "2": "A", "4": "I cannot tell."}
    pair = PredictionPair(TEST, PREDICTIONS, second)
    assert pair.select_agreed() == {"1": "A", "4": "C"}
    asks = {ask.question_id: ask.prompt for ask in pair.build_judge_questions()}
    assert asks.keys() == {"2", "3"}
    assert "Context: Read this." in asks["2"]
    assert asks["2"].index("The answer is B.") < asks["2"].index("<student-2>\nA\n")
    assert "(no answer)" in asks["3"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("problems.json", '{\n"1": ]', r"problems\.json:2: not JSON"),
        ("problems.json", "[]", r"problems\.json: not a JSON object"),
        ("problems.json", "{}", r"problems\.json: no problem 1, which .*'test'"),
        (
            "problems.json",
            json.dumps({**PROBLEMS, "2": {"question": "?"}}),
            r"problems\.json: problem 2: choices: Field required",
        ),
        (
            "problems.json",
            json.dumps({**PROBLEMS, "2": problem(answer=2)}),
            r"problem 2: answer: there is no choice 2",
        ),
        ("pid_splits.json", '{"train": []}', r"pid_splits\.json: no split 'test', only train"),
        ("pid_splits.json", '{"test": "1"}', r"pid_splits\.json: test: Input should be a valid l"),
    ],
)
def test_malformed_data(tmp_path: Path, file: str, content: str, message: str) -> None:
    write_data(tmp_path)
    (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=message):
        read_problems(tmp_path / "problems.json", tmp_path / "pid_splits.json", "test")


def test_malformed_predictions(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", {"question_id": 1, "text": "A"}, {"question_id": "2"})
    with pytest.raises(InputError, match=r"p\.jsonl:2: text: Field required"):
        read_predictions(path)


def test_score_prints_one_object(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"question_id": key, "text": text, "answer_id": "x", "metadata": {}}
        for key, text in PREDICTIONS.items()
    ]
    path = write_lines(tmp_path / "p.jsonl", {"question_id": "1", "text": "B"}, *records)
    command = ["scienceqa", "score", *write_data(tmp_path), "--predictions", str(path)]
    outcome = CliRunner().invoke(app, [*command, "--json"])
    assert outcome.exit_code == 0
    results = json.loads(outcome.stdout)
    assert results["accuracy"] == pytest.approx(40.0)
    assert (results["correct"], results["count"]) == (2, 5)
    assert results["subject"]["natural science"]["accuracy"] == pytest.approx(100.0)
    assert results["parsed"] == {"1": 0, "2": 1, "3": 1, "4": -1, "5": -1}
    assert results["missing"] == ["5"]
    assert "WARNING: 1 of 5 problems without a prediction" in outcome.stderr
    table = CliRunner().invoke(app, command)
    assert "40.00" in table.stdout
    assert "modality: no context" in table.stdout


def test_score_names_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"question_id": "1", "text": "A"}\nnonsense\n')
    command = ["scienceqa", "score", *write_data(tmp_path), "--predictions", str(path)]
    outcome = CliRunner().invoke(app, command)
    assert outcome.exit_code == 1
    assert str(outcome.exception).startswith(f"{path}:2: Invalid JSON")
    assert not outcome.stdout


def test_complement_writes_what_score_reads(tmp_path: Path) -> None:
    first = [{"question_id": key, "text": text} for key, text in PREDICTIONS.items()]
    second = [{"question_id": "3", "text": "The answer is C."}, {"question_id": "5", "text": "?"}]
    given = [*write_data(tmp_path), "--predictions", str(write_lines(tmp_path / "1.jsonl", *first))]
    out = tmp_path / "new" / "joint.jsonl"
    more = ["--second", str(write_lines(tmp_path / "2.jsonl", *second)), "--out", str(out)]
    outcome = CliRunner().invoke(app, ["scienceqa", "complement", *given, *more, "--json"])
    assert json.loads(outcome.stdout)["accuracy"] == pytest.approx(60.0)
    given[-1] = str(out)
    again = CliRunner().invoke(app, ["scienceqa", "score", *given, "--json"])
    assert json.loads(again.stdout) == json.loads(outcome.stdout)


async def test_run_with_images(tmp_path: Path) -> None:
    for folder in ("1", "test/3"):
        (tmp_path / "images" / folder).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / folder / "image.png")
    (tmp_path / "captions.json").write_text('{"captions": {"3": "A map."}}')
    out = tmp_path / "p.jsonl"
    async with serve_script(lambda _: completion_reply("B")) as there:
        finished = await run_evaluation(
            *("scienceqa", "run", *write_data(tmp_path), "--predictions", str(out)),
            *("--images", str(tmp_path / "images"), "--captions", str(tmp_path / "captions.json")),
            *("--base-url", there.url, "--request", '{"seed": 1, "temperature": null}'),
        )
    assert finished.code == 0, finished.stderr
    # 2 and 4 have B as the right choice
    assert "40.00" in finished.stdout
    records = {record["question_id"]: record for record in read_lines(out)}
    assert records.keys() == TEST.problems.keys()
    shown = {key for key, record in records.items() if record["prompt"].startswith("<image>\n")}
    assert shown == {"1", "3"}
    assert sum(request.image is not None for request in there.requests) == 2
    assert "Context: A map." in records["3"]["prompt"]
    assert {json.dumps(request.body.get("seed")) for request in there.requests} == {"1"}
    assert all("temperature" not in request.body for request in there.requests)


async def test_judge(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        return completion_reply(
            "Hm. The answer is A." if "Read this." in request.prompt else "Neither."
        )

    first = [{"question_id": key, "text": text} for key, text in PREDICTIONS.items()]
    second = [{"question_id": key, "text": "A"} for key in TEST.problems]
    given = [
        *("--predictions", str(write_lines(tmp_path / "1.jsonl", *first))),
        *("--second", str(write_lines(tmp_path / "2.jsonl", *second))),
    ]
    out, reviews = tmp_path / "joint.jsonl", tmp_path / "reviews.jsonl"
    async with serve_script(answer) as there:
        finished = await run_evaluation(
            *("scienceqa", "judge", *write_data(tmp_path), *given, "--out", str(out)),
            *("--reviews", str(reviews), "--judge-base-url", there.url, "--json"),
        )
    assert finished.code == 0, finished.stderr
    assert len(there.requests) == len(read_lines(reviews)) == 4
    # 1 is agreed; 2 is the judge's A, wrong; 3 and 4 stay the first's; 5 has only what is no choice
    assert json.loads(finished.stdout)["parsed"] == {"1": 0, "2": 0, "3": 1, "4": -1, "5": -1}
    assert json.loads(finished.stdout)["accuracy"] == pytest.approx(20.0)
    joint = {record["question_id"]: record["text"] for record in read_lines(out)}
    assert joint == {"1": "A", "2": "Hm. The answer is A.", "3": "B. Because it is.", "4": "C"}


def test_verdicts_of_an_earlier_judge(tmp_path: Path) -> None:
    first = [{"question_id": key, "text": text} for key, text in PREDICTIONS.items()]
    second = [{"question_id": key, "text": "A"} for key in TEST.problems]
    verdicts = [
        {"question_id": "2", "text": "I cannot tell."},
        {"question_id": "3", "text": "The answer is C."},
        {"question_id": "6", "text": "The answer is A."},
    ]
    out = tmp_path / "joint.jsonl"
    command = [
        *("scienceqa", "judge", *write_data(tmp_path), "--out", str(out), "--json"),
        *("--predictions", str(write_lines(tmp_path / "1.jsonl", *first))),
        *("--second", str(write_lines(tmp_path / "2.jsonl", *second))),
        *("--reviews", str(write_lines(tmp_path / "v.jsonl", *verdicts))),
    ]
    outcome = CliRunner().invoke(app, command)
    assert outcome.exit_code == 0, outcome.stderr
    # 2 falls back to the first's B, which is right, and 4, without a verdict, to its C
    assert json.loads(outcome.stdout)["parsed"] == {"1": 0, "2": 1, "3": 2, "4": -1, "5": -1}
    assert json.loads(outcome.stdout)["accuracy"] == pytest.approx(60.0)
