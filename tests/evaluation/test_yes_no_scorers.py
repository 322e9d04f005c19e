"""POPE and MME, with values by hand."""

from pathlib import Path
from typing import Any

import pytest

from evaluation.scorers.mme_questions import parse_yes_no
from evaluation.scorers.pope import is_yes
from tests.asking.process import write_lines
from tests.evaluation.scoring import failure, misuse, score, write_answers

WORD = "Answer the question using a single word or phrase."


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("Yes", True),
        ("No", False),
        ("No, there is none.", False),
        ("There is not a dog. Yes", False),
        ("Yes. There is no cat", True),  # only the first sentence counts
        ("nothing", True),
        ("NO", True),  # as in the released code
        ("", True),
    ],
)
def test_yes_or_no(text: str, yes: bool) -> None:
    assert is_yes(text) is yes


def write_pope(folder: Path) -> tuple[str, ...]:
    """Write two categories of four and two questions; return their options."""
    labels = {"random": ["yes", "yes", "no", "no"], "popular": ["no", "no"]}
    (folder / "coco").mkdir()
    questions: list[dict[str, Any]] = []
    for category, values in labels.items():
        records = [{"question_id": n, "label": value} for n, value in enumerate(values, start=1)]
        write_lines(folder / "coco" / f"coco_pope_{category}.json", *records)
        questions += [
            {"question_id": len(questions) + n, "text": "Is there?", "category": category}
            for n in range(len(values))
        ]
    path = write_lines(folder / "q.jsonl", *questions)
    return ("pope", "--questions", str(path), "--annotations", str(folder / "coco"))


def test_pope(tmp_path: Path) -> None:
    texts = ["Yes", "No", "Yes", "No", "No.", "Yes"]
    # in another order than asked
    given = write_answers(tmp_path, *reversed(list(enumerate(texts))))
    results, _ = score(*write_pope(tmp_path), "--answers", given)
    assert results["categories"]["random"] == {
        "accuracy": 50.0,
        "precision": 50.0,
        "recall": 50.0,
        "f1": 50.0,
        "yes_ratio": 50.0,
        "count": 4,
    }
    popular = results["categories"]["popular"]
    assert (popular["accuracy"], popular["precision"], popular["f1"]) == (50.0, 0.0, 0.0)
    assert popular["recall"] is None  # no question has the answer yes
    assert results["f1"] == 25.0
    assert results["missing"] == 0


def test_pope_f1_is_not_accuracy(tmp_path: Path) -> None:
    given = write_answers(tmp_path, (0, "Yes"), (1, "Yes"), (2, "Yes"), (3, "No"))
    results, stderr = score(*write_pope(tmp_path), "--answers", given)
    random = results["categories"]["random"]
    # 2 true positives, 1 false, 1 true negative
    assert random["accuracy"] == pytest.approx(75.0)
    assert random["precision"] == pytest.approx(200 / 3)
    assert random["recall"] == pytest.approx(100.0)
    assert random["f1"] == pytest.approx(80.0)
    assert random["yes_ratio"] == pytest.approx(75.0)
    assert results["categories"]["popular"]["count"] == 0
    assert "2 questions without an answer: not counted" in stderr


def test_pope_with_other_labels(tmp_path: Path) -> None:
    command = [*write_pope(tmp_path), "--answers", write_answers(tmp_path)]
    write_lines(tmp_path / "coco" / "coco_pope_popular.json", {"label": "no"})
    message = failure(*command)
    assert message.endswith("coco_pope_popular.json: 1 labels, but 2 questions of category popular")
    write_lines(tmp_path / "coco" / "coco_pope_popular.json", {"label": "maybe"})
    assert "coco_pope_popular.json:1: label: Input should be 'yes' or 'no'" in failure(*command)


def test_pope_with_an_id_twice(tmp_path: Path) -> None:
    command = [*write_pope(tmp_path), "--answers", write_answers(tmp_path)]
    with (tmp_path / "q.jsonl").open("a") as file:
        file.write('{"question_id": "3", "text": "Is there?", "category": "random"}')
    assert failure(*command).endswith("q.jsonl:7: question 3 is listed twice")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Yes", "yes"),
        ("no.", "no"),
        (" Yes, it is", "yes"),
        ("Not", "no"),
        ("Well, yes", "other"),
        ("", "other"),
    ],
)
def test_mme_reads_the_first_four_characters(text: str, answer: str) -> None:
    assert parse_yes_no(text) == answer


def write_mme(folder: Path) -> Path:
    """Write a task of each layout of the benchmark's folders."""
    release = folder / "release"
    (release / "existence").mkdir(parents=True)
    (release / "code_reasoning" / "questions_answers_YN").mkdir(parents=True)
    ask = "Please answer yes or no."
    pairs = f"Is there a {{}}? {ask}\tYes\nIs there a {{}}?  {ask}\tNo\n"
    for name, things in (("01", ("cat", "dog")), ("02", ("cup", "pen"))):
        (release / "existence" / f"{name}.txt").write_text(pairs.format(*things))
    code = release / "code_reasoning" / "questions_answers_YN"
    (code / "0001.txt").write_text(pairs.format("loop", "bug").replace("\n", "\t\r\n"))
    return release


def answer(question_id: str, text: str, thing: str) -> tuple[str, str, str]:
    return question_id, text, f"Is there a {thing}?\n{WORD}"


MME_ANSWERS = [
    answer("existence/01.jpg", "Yes", "cat"),
    answer("existence/01.jpg", "No", "dog"),
    answer("existence/02.jpg", "Yes", "cup"),
    answer("existence/02.jpg", "Yes", "pen"),
    answer("code_reasoning/0001.png", "Maybe", "loop"),
    answer("code_reasoning/0001.png", "no", "bug"),
]


def test_mme(tmp_path: Path) -> None:
    given = write_answers(tmp_path, *MME_ANSWERS)
    annotations = ("--annotations", str(write_mme(tmp_path)))
    results, stderr = score("mme", "--answers", given, *annotations)
    # existence: 3 of 4 questions, 1 of 2 images; code: 1 of 2 questions, no image
    assert results["tasks"]["existence"] == {
        "score": 125.0,
        "accuracy": 75.0,
        "accuracy_plus": 50.0,
        "count": 4,
    }
    assert results["tasks"]["code_reasoning"]["score"] == 50.0
    assert (results["perception"], results["cognition"]) == (125.0, 50.0)
    assert len(results["not_asked"]) == 12
    assert "no answers to these tasks: count, position, color" in stderr


def test_mme_without_an_answer(tmp_path: Path) -> None:
    given = write_answers(tmp_path, *MME_ANSWERS[1:4])
    results, stderr = score("mme", "--answers", given, "--annotations", str(write_mme(tmp_path)))
    assert results["tasks"]["existence"]["score"] == 50.0
    assert "code_reasoning" not in results["tasks"]
    assert "1 question without an answer: counted as wrong" in stderr


def test_mme_with_another_question(tmp_path: Path) -> None:
    given = write_answers(tmp_path, answer("existence/01.jpg", "Yes", "cow"))
    message = failure("mme", "--answers", given, "--annotations", str(write_mme(tmp_path)))
    assert "answers.jsonl: no such question: existence/01.jpg, 'Is there a cow?" in message


def test_mme_from_the_official_files(tmp_path: Path) -> None:
    lines = ["a.jpg\tIs it?\tYes\tYes", "a.jpg\tIs it not?\tNo\tno", "b.jpg\tIs it?\tYes\tno"]
    (tmp_path / "color.txt").write_text("\n".join(lines) + "\n")
    results, _ = score("mme", "--results", str(tmp_path))
    # 2 of 3 questions, 1 of 2 images
    assert results["perception"] == pytest.approx(200 / 3 + 50)
    (tmp_path / "count.txt").write_text("a.jpg\tIs it?\tYes\n")
    assert "count.txt:1: 3 columns in place of 4" in failure("mme", "--results", str(tmp_path))
    assert "--results" in misuse("mme")


def test_mme_strips_no_column_of_the_official_files(tmp_path: Path) -> None:
    lines = ["a.jpg\tIs it?\tYes\t  yes", "a.jpg\tIs it not?\tNo\t no, not"]
    (tmp_path / "color.txt").write_text("\n".join(lines) + "\n")
    results, _ = score("mme", "--results", str(tmp_path))
    assert results["tasks"]["color"]["accuracy"] == 50.0  # "  ye" is neither
    (tmp_path / "color.txt").write_text("a.jpg\tIs it?\t Yes\tyes\n")
    message = failure("mme", "--results", str(tmp_path))
    assert "color.txt:1: the right answer ' Yes' is neither yes nor no" in message
