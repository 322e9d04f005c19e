"""SEED-Bench and MMBench: accuracy by hand, and the submission files."""

import builtins
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.asking.process import read_lines
from tests.evaluation.scoring import failure, score, write_answers, write_json

SEED = {
    "question_type": {"Scene Understanding": 1, "Action Prediction": 11},
    "questions": [
        {"question_id": "101", "question_type_id": 1, "answer": "A", "data_type": "image"},
        {"question_id": "102", "question_type_id": 1, "answer": "B", "data_type": "image"},
        {"question_id": "103", "question_type_id": 11, "answer": "C", "data_type": "video"},
        {"question_id": "v4", "question_type_id": 11, "answer": "D", "data_type": "video"},
    ],
}


def test_seed(tmp_path: Path) -> None:
    annotations = write_json(tmp_path / "SEED-Bench.json", SEED)
    # only the letter alone counts
    given = write_answers(tmp_path, (101, "A"), (102, "B."), ("v4", "D"))
    out = tmp_path / "upload.jsonl"
    command = ("seed", "--annotations", annotations, "--answers", given, "--out", str(out))
    results, stderr = score(*command)
    assert results["accuracy"] == 50.0
    assert (results["image"]["accuracy"], results["video"]["accuracy"]) == (50.0, 50.0)
    assert results["types"]["Scene Understanding"] == {"accuracy": 50.0, "correct": 1, "count": 2}
    assert results["types"]["Action Prediction"]["correct"] == 1
    assert "1 question without an answer: counted as wrong" in stderr
    assert read_lines(out) == [
        {"question_id": "101", "prediction": "A"},
        {"question_id": "102", "prediction": "B."},
        {"question_id": "v4", "prediction": "D"},
    ]


HEADER = "index question hint A B C D answer category image source l2-category comment split"
ROWS = [
    (5, "How many?", "A hint", "1", "2", "3", "4", "B", "c", "aW1n", "s", "l2", "x", "dev"),
    (6, "=1+1?", "nan", "7", "8", "", "", "A", "c", "aW1n", "s", "l2", "x", "dev"),
    (7, '"Say ""a"", b"', "", "9", "9.5", "nan", "", "A", "c", "aW1n", "s", "l2", "", "dev"),
]


def write_table(folder: Path) -> str:
    lines = ["\t".join(HEADER.split()), *("\t".join(map(str, row)) for row in ROWS)]
    (folder / "mmbench.tsv").write_text("\n".join(lines) + "\n")
    return str(folder / "mmbench.tsv")


def test_mmbench(tmp_path: Path) -> None:
    given = write_answers(tmp_path, (6, "=B"), (5, "B\x00"))
    out = tmp_path / "new" / "mmbench.xlsx"
    command = ("mmbench", "--questions", write_table(tmp_path), "--answers", given)
    results, stderr = score(*command, "--out", str(out))
    assert (results["count"], results["missing"]) == (3, 1)
    assert "1 question without an answer: left empty" in stderr
    sheet = openpyxl.load_workbook(out).active
    assert sheet is not None
    rows: list[tuple[Any, ...]] = list(sheet.iter_rows(values_only=True))
    assert rows == [
        ("index", "question", "A", "B", "C", "D", "prediction", "answer", "split"),
        (5, "How many?", 1, 2, 3, 4, "B", "B", "dev"),
        (6, "=1+1?", 7, 8, None, None, "=B", "A", "dev"),
        (7, 'Say "a", b', 9, 9.5, None, None, None, "A", "dev"),
    ]
    assert sheet["B3"].data_type == sheet["G3"].data_type == "s"


def test_mmbench_with_another_table(tmp_path: Path) -> None:
    path = tmp_path / "other.tsv"
    out = ("--out", str(tmp_path / "x.xlsx"))
    command = ("mmbench", "--questions", str(path), "--answers", write_answers(tmp_path), *out)
    path.write_text("id\tquestion\n1\tx\n")
    assert failure(*command).endswith("other.tsv:1: no column index")
    path.write_text("index\tquestion\n1\n")
    assert failure(*command).endswith(
        "other.tsv:2: a different number of columns than the first line"
    )
    path.write_text("index\tquestion\n")
    assert failure(*command).endswith("other.tsv: no questions")


def test_mmbench_without_openpyxl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def import_others(name: str, *arguments: Any) -> Any:
        if name.startswith("openpyxl"):
            raise ImportError(name)
        return real(name, *arguments)

    table, given = write_table(tmp_path), write_answers(tmp_path, (5, "B"))
    monkeypatch.setattr(builtins, "__import__", import_others)
    out = ("--out", str(tmp_path / "x.xlsx"))
    message = failure("mmbench", "--questions", table, "--answers", given, *out)
    assert "pip install 'llava-server[evaluation]'" in message
