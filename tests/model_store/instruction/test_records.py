"""LLaVA's own records, and the files they are written to."""

import json
import random
from pathlib import Path

from model_store.instruction.records import build_record, write_records

PAIRS = (("What?", "That."), ("Where?", "There."))


def test_a_record() -> None:
    record = build_record("1", "1.jpg", PAIRS, random.Random(0))
    first = record["conversations"][0]["value"]
    assert record == {
        "id": "1",
        "image": "1.jpg",
        "conversations": [
            {"from": "human", "value": first},
            {"from": "gpt", "value": "That."},
            {"from": "human", "value": "Where?"},
            {"from": "gpt", "value": "There."},
        ],
    }


def test_the_image_stands_before_or_after_the_first_question() -> None:
    draw = random.Random(3)
    records = [build_record("1", "1.jpg", PAIRS, draw) for _ in range(200)]
    firsts = [record["conversations"][0]["value"] for record in records]
    assert set(firsts) == {"<image>\nWhat?", "What?\n<image>"}
    assert 60 < firsts.count("<image>\nWhat?") < 140


def test_an_array_for_each_kind_and_one_of_all(tmp_path: Path) -> None:
    one, two = {"id": "1"}, {"id": "größer\u2028"}
    write_records(tmp_path, ["complex", "detail"], [("detail", one), ("complex", two)])
    files = {path.name: json.loads(path.read_text("utf-8")) for path in tmp_path.iterdir()}
    assert files == {
        "complex_reasoning.json": [two],
        "detail.json": [one],
        "instruct.json": [one, two],
    }
    write_records(tmp_path, ["detail"], [])
    assert json.loads((tmp_path / "detail.json").read_text()) == []
