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
def scenes_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scenes")
    run(out, "--count", str(COUNT), "--seed", "5", "--longest", "256")
    return out


def records(folder: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / name).read_bytes())
    return found


def test_every_kind_has_its_records(scenes_folder: Path) -> None:
    assert len(records(scenes_folder, "conversation.json")) == COUNT
    assert len(records(scenes_folder, "detail.json")) == COUNT
    assert len(records(scenes_folder, "complex_reasoning.json")) > COUNT / 2
    everything = [record for name in FILES.values() for record in records(scenes_folder, name)]
    assert len(records(scenes_folder, "instruct.json")) == len(everything)
    assert len({record["id"] for record in everything}) == len(everything)


def test_records_are_llava_s(scenes_folder: Path) -> None:
    for record in records(scenes_folder, "instruct.json"):
        turns = record["conversations"]
        assert [turn["from"] for turn in turns] == ["human", "gpt"] * (len(turns) // 2)
        assert "<image>" in turns[0]["value"]
        assert sum("<image>" in turn["value"] for turn in turns) == 1
        with Image.open(scenes_folder / "images" / record["image"]) as image:
            assert max(image.size) <= 256


def test_conversations_have_several_turns_and_ask_nothing_twice(scenes_folder: Path) -> None:
    lengths = set()
    for record in records(scenes_folder, "conversation.json"):
        asked = [turn["value"] for turn in record["conversations"][::2]]
        assert len(set(asked)) == len(asked)
        lengths.add(len(asked))
    assert max(lengths) >= 4


def test_symbols_can_be_put_to_a_teacher(scenes_folder: Path) -> None:
    contexts = read_contexts(scenes_folder / "captions.jsonl")
    assert len(contexts) == COUNT
    lines = [
        json.loads(build_line)
        for build_line in (scenes_folder / "captions.jsonl").read_text().splitlines()
    ]
    for build_line in lines:
        for instance in build_line["instances"]:
            left, top, right, bottom = instance["bbox"]
            assert 0 <= left < right <= 1
            assert 0 <= top < bottom <= 1
            assert instance["category"] in build_line["captions"][0].lower()


def test_a_larger_count_draws_the_same_and_more(scenes_folder: Path, tmp_path: Path) -> None:
    run(tmp_path, "--count", "6", "--seed", "5", "--longest", "256")
    few, many = (records(folder, "detail.json") for folder in (tmp_path, scenes_folder))
    assert few == many[: len(few)]
    picture = f"images/{few[5]['image']}"
    assert (tmp_path / picture).read_bytes() == (scenes_folder / picture).read_bytes()
