"""`scenes`, as the real process: records of three kinds, and symbols that `captions` reads."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from model_store.instruction.captions.context import read_contexts
from model_store.instruction.records import FILES

COUNT = 40


def run(out: Path, *options: str) -> None:
    command = [sys.executable, "-m", "model_store.instruction", "scenes", "--out", str(out)]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scenes")
    run(out, "--count", str(COUNT), "--seed", "5", "--longest", "256")
    return out


def records(folder: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / name).read_bytes())
    return found


def test_every_kind_has_its_records(written: Path) -> None:
    assert len(records(written, "conversation.json")) == COUNT
    assert len(records(written, "detail.json")) == COUNT
    assert len(records(written, "complex_reasoning.json")) > COUNT / 2
    everything = [record for name in FILES.values() for record in records(written, name)]
    assert len(records(written, "instruct.json")) == len(everything)
    assert len({record["id"] for record in everything}) == len(everything)


def test_records_are_llava_s(written: Path) -> None:
    for record in records(written, "instruct.json"):
        turns = record["conversations"]
        assert [turn["from"] for turn in turns] == ["human", "gpt"] * (len(turns) // 2)
        assert "<image>" in turns[0]["value"]
        assert sum("<image>" in turn["value"] for turn in turns) == 1
        with Image.open(written / "images" / record["image"]) as image:
            assert max(image.size) <= 256


def test_conversations_have_several_turns_and_ask_nothing_twice(written: Path) -> None:
    lengths = set()
    for record in records(written, "conversation.json"):
        asked = [turn["value"] for turn in record["conversations"][::2]]
        assert len(set(asked)) == len(asked)
        lengths.add(len(asked))
    assert max(lengths) >= 4


def test_symbols_can_be_put_to_a_teacher(written: Path) -> None:
    contexts = read_contexts(written / "captions.jsonl")
    assert len(contexts) == COUNT
    lines = [json.loads(line) for line in (written / "captions.jsonl").read_text().splitlines()]
    for line in lines:
        for instance in line["instances"]:
            left, top, right, bottom = instance["bbox"]
            assert 0 <= left < right <= 1
            assert 0 <= top < bottom <= 1
            assert instance["category"] in line["captions"][0].lower()


def test_a_larger_count_draws_the_same_and_more(written: Path, tmp_path: Path) -> None:
    run(tmp_path, "--count", "6", "--seed", "5", "--longest", "256")
    few, many = (records(folder, "detail.json") for folder in (tmp_path, written))
    assert few == many[: len(few)]
    picture = f"images/{few[5]['image']}"
    assert (tmp_path / picture).read_bytes() == (written / picture).read_bytes()
