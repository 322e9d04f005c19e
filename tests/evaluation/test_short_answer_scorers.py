"""TextVQA, VQAv2, GQA, VizWiz and MM-Vet, with values by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.scorers.textvqa import extract_question
from tests.asking.process import write_lines
from tests.evaluation.scoring import failure, misuse, score, write_answers, write_json

WORD = "Answer the question using a single word or phrase."


@pytest.mark.parametrize(
    "prompt",
    [
        f"What brand?\n{WORD}",
        f"What brand?\nReference OCR token: COCA, COLA\n{WORD}",
        f"Reference OCR token: COCA, COLA\nWhat brand?\n{WORD}",
        "OCR tokens: COCA, COLA. Question: What brand? Short answer:",
        "What brand?",
    ],
)
def test_question_in_a_prompt_of_textvqa(prompt: str) -> None:
    assert extract_question(prompt) == "what brand?"


def write_textvqa(folder: Path) -> str:
    data = [
        {"image_id": "i", "question": "What brand?", "answers": ["Coca Cola"] * 3 + ["pepsi"] * 7},
        {"image_id": "i", "question": "What year?", "answers": ["1,999"] * 9 + ["two"]},
        {"image_id": "k", "question": "What?", "answers": ["x"] * 10},
    ]
    return write_json(folder / "val.json", {"data": data})


def test_textvqa(tmp_path: Path) -> None:
    given = write_answers(
        tmp_path,
        ("i", "coca-cola.", f"What brand?\nReference OCR token: a\n{WORD}"),
        ("i", "1999", f"What year?\n{WORD}"),
        ("i", "2", f"What year?\n{WORD}"),
    )
    command = ("textvqa", "--annotations", write_textvqa(tmp_path), "--answers", given)
    results, stderr = score(*command)
    # 3 of 10 annotators: 0.9; 9 of 10: 1; 1 of 10: 0.3
    assert results["accuracy"] == pytest.approx(100 * 2.2 / 3)
    assert (results["count"], results["missing"]) == (3, 1)
    assert "1 question without an answer" in stderr


def test_textvqa_with_another_question(tmp_path: Path) -> None:
    annotations = write_textvqa(tmp_path)
    given = write_answers(tmp_path, ("k", "x", f"Who?\n{WORD}"))
    message = failure("textvqa", "--annotations", annotations, "--answers", given)
    assert message.endswith("answers.jsonl: no such question: image k, 'who?'")
    empty = write_json(tmp_path / "empty.json", {"data": [{"image_id": "i"}]})
    message = failure("textvqa", "--annotations", empty, "--answers", given)
    assert "empty.json: data.0.question: Field required" in message


def annotation(question_id: int, answers: list[str], kind: str = "other") -> dict[str, Any]:
    references = [{"answer": text, "answer_id": n} for n, text in enumerate(answers, start=1)]
    return {"question_id": question_id, "answers": references, "answer_type": kind}


def test_vqav2_by_the_official_evaluation(tmp_path: Path) -> None:
    annotations = {
        "annotations": [
            annotation(1, ["yes"] * 10, "yes/no"),
            annotation(2, ["two"] * 8 + ["3"] * 2, "number"),
            # all annotators agree, so nothing is normalised, and 2 is not two
            annotation(3, ["two"] * 10, "number"),
            annotation(4, ["a red cat"] * 2 + ["Dog"] * 8),
            annotation(5, ["x"] * 10),
        ]
    }
    path = write_json(tmp_path / "annotations.json", annotations)
    given = write_answers(tmp_path, (1, "Yes."), (2, "3"), (3, "Two"), (4, "The red cat"))
    results, stderr = score("vqav2", "--annotations", path, "--answers", given)
    types = {name: group["accuracy"] for name, group in results["answer_types"].items()}
    assert types == {
        "yes/no": pytest.approx(100.0),
        "number": pytest.approx(30.0),  # 0.6 and 0
        "other": pytest.approx(30.0),  # 0.6 and no answer
    }
    assert results["accuracy"] == pytest.approx(100 * 2.2 / 5)
    assert "1 question without an answer: counted as wrong" in stderr


@pytest.mark.parametrize("reference", ["yes ", " yes", "yes\n", "\tyes"])
def test_vqav2_strips_the_annotators_answers_before_it_compares_them(
    reference: str, tmp_path: Path
) -> None:
    annotations = [annotation(1, [reference] * 10), annotation(2, [reference] * 9 + ["yes"])]
    path = write_json(tmp_path / "annotations.json", {"annotations": annotations})
    given = write_answers(tmp_path, (1, "yes"), (2, "Yes"))
    assert score("vqav2", "--annotations", path, "--answers", given)[0]["accuracy"] == 100


def test_vqav2_upload(tmp_path: Path) -> None:
    asked = [{"question_id": number, "text": "?", "image": "a.jpg"} for number in (7, 8, 9)]
    questions = str(write_lines(tmp_path / "q.jsonl", *asked))
    given = write_answers(tmp_path, (9, "The Dog."), (7, "Two"))
    out = tmp_path / "new" / "upload.json"
    command = ("vqav2", "--questions", questions, "--answers", given, "--out", str(out))
    results, stderr = score(*command)
    assert (results["count"], results["missing"]) == (3, 1)
    assert json.loads(out.read_text()) == [
        {"question_id": 7, "answer": "2"},
        {"question_id": 8, "answer": ""},
        {"question_id": 9, "answer": "dog"},
    ]
    assert "1 question without an answer: left empty" in stderr
    assert "give --annotations, or --questions" in misuse("vqav2", "--answers", given)


GQA = {
    "201": {"answer": "yes", "types": {"structural": "verify"}},
    "202": {"answer": "left", "types": {"structural": "query"}},
    "203": {"answer": "cat", "types": {"structural": "query"}},
    "204": {"answer": "no", "types": {"structural": "logical"}},
}


def test_gqa(tmp_path: Path) -> None:
    questions = write_json(tmp_path / "gqa.json", GQA)
    given = write_answers(tmp_path, ("201", "Yes."), (202, "right"), ("203", "Cat"))
    results, stderr = score("gqa", "--questions", questions, "--answers", given)
    assert (results["accuracy"], results["correct"], results["count"]) == (50.0, 2, 4)
    assert results["kinds"]["open"]["accuracy"] == 50.0
    assert results["kinds"]["binary"]["count"] == 2
    assert "1 question without an answer: counted as wrong" in stderr


def test_gqa_predictions(tmp_path: Path) -> None:
    given = write_answers(tmp_path, ("201", "Yes."), ("202", "To the Left, no. 2"))
    out = tmp_path / "testdev_balanced_predictions.json"
    score("gqa", "--answers", given, "--out", str(out))
    assert json.loads(out.read_text()) == [
        {"questionId": "201", "prediction": "yes"},
        {"questionId": "202", "prediction": "to the left, no. 2"},
    ]
    assert "give --questions or --out" in misuse("gqa", "--answers", given)


def test_vizwiz(tmp_path: Path) -> None:
    asked = [{"question_id": n, "text": "?", "image": f"VizWiz_{n}.jpg"} for n in (0, 1)]
    questions = str(write_lines(tmp_path / "q.jsonl", *asked))
    out = tmp_path / "upload.json"
    given = write_answers(tmp_path, (1, "Unanswerable."), (0, "A Coke"))
    command = ("vizwiz", "--questions", questions, "--answers", given, "--out", str(out))
    score(*command)
    assert json.loads(out.read_text()) == [
        {"image": "VizWiz_0.jpg", "answer": "coke"},
        {"image": "VizWiz_1.jpg", "answer": "unanswerable"},
    ]
    write_answers(tmp_path, (0, "x"))
    assert failure(*command).endswith("answers.jsonl: no answer to question 1")


def test_mmvet(tmp_path: Path) -> None:
    given = write_answers(tmp_path, ("0", "x = -1"), (17, "Größe.\nNo."))
    out = tmp_path / "mmvet.json"
    score("mmvet", "--answers", given, "--out", str(out))
    assert json.loads(out.read_text()) == {"v1_0": "x = -1", "v1_17": "Größe.\nNo."}


def test_a_malformed_answers_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"question_id": 1, "text": "x"}\n{"question_id": 2}\n')
    message = failure("mmvet", "--answers", str(path), "--out", str(tmp_path / "o.json"))
    assert message.endswith("answers.jsonl:2: text: Field required")
