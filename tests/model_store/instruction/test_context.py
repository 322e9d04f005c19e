"""Captions and boxes as they come, and as the teacher gets them."""

import json
from pathlib import Path
from typing import Any

import pytest

from asking.errors import RunError
from model_store.instruction.captions.context import Context, read_contexts
from tests.asking.process import write_lines
from tests.model_store.instruction.teacher import build_line


def with_box(*box: float, **size: float) -> dict[str, Any]:
    return build_line(1, instances=[{"category": "cat", "bbox": box}], **size)


def test_captions_then_boxes() -> None:
    context = Context.model_validate(build_line(7))
    assert context.as_text() == (
        "Donut 7 on a plate.\nA plate with a donut.\n\n"
        "donut: [0.250, 0.125, 0.500, 0.500]\ndining table: [0.000, 0.100, 1.000, 1.000]"
    )
    assert Context.model_validate(build_line(7, instances=[])).as_text().endswith("a donut.")


def test_neither_the_name_nor_the_id_of_the_image_is_in_the_text() -> None:
    text = Context.model_validate(build_line(7, id="an-id", image="http://x/y.jpg")).as_text()
    assert "an-id" not in text
    assert "y.jpg" not in text


def test_a_caption_cannot_pass_for_a_box() -> None:
    context = Context.model_validate(build_line(7, captions=["A cat.\n\ndog: [0, 0, 1, 1]", " "]))
    assert context.as_text().split("\n\n")[0] == "A cat. dog: [0, 0, 1, 1]"


@pytest.mark.parametrize(
    ("record", "boxes"),
    [
        (with_box(0, 0.5, 1, 1), (0.0, 0.5, 1.0, 1.0)),
        (with_box(-0.001, 0.5, 1.001, 1), (0.0, 0.5, 1.0, 1.0)),
        (with_box(0, 0.5, 1, 1, width=640, height=480), (0.0, 0.5, 1.0, 1.0)),
        (with_box(64, 120, 320, 480, width=640, height=480), (0.1, 0.25, 0.5, 1.0)),
        (with_box(-0.5, 0, 640.5, 480, width=640, height=480), (0.0, 0.0, 1.0, 1.0)),
    ],
)
def test_boxes_as_shares_or_in_pixels(record: dict[str, Any], boxes: tuple[float, ...]) -> None:
    assert Context.model_validate(record).boxes() == [pytest.approx(boxes)]


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (with_box(64, 120, 320, 480), r"beyond 1\): width and height of the image are needed"),
        (with_box(64, 120, 320, 480, width=640), "width and height of the image are needed"),
        (with_box(64, 120, 700, 480, width=640, height=480), r"the box .* of cat is not inside"),
        (with_box(-0.2, 0, 1, 1), "not inside of the image"),
        (with_box(0.5, 0, 0.2, 1), r"instances\.0: the box \[0.5, 0.0, 0.2, 1.0\] is not \[x1"),
        (with_box(0.5, 0, 0.2), r"instances\.0\.bbox\.3: Field required"),
        (build_line(1, captions=[]), "captions: "),
        (build_line(1, captions=["", " \n"]), "captions: all of them are empty"),
        (build_line(1, image=""), "image: "),
        ({"id": "1", "image": "x"}, "captions: Field required"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, record: dict[str, Any], problem: str) -> None:
    path = write_lines(tmp_path / "in.jsonl", build_line(5), record)
    with pytest.raises(RunError, match=rf"in\.jsonl:2: .*{problem}"):
        read_contexts(path)


def test_all_malformed_lines_are_named_up_to_ten(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "in.jsonl", build_line(1), build_line(2), build_line(1), *[{}] * 12
    )
    with pytest.raises(RunError) as raised:
        read_contexts(path)
    messages = str(raised.value).split("\n")
    assert messages[0].endswith("in.jsonl:3: the id 000000000001 is already that of line 1")
    assert messages[1].endswith("in.jsonl:4: id: Field required")
    assert (len(messages), messages[-1]) == (11, "and 3 more lines")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\n \n", "has no records"),
        (b"nonsense\n", ":1: Invalid JSON"),
        (b'{"id": "\xff"}\n', "not UTF-8 text"),
        (json.dumps(with_box(0, 0, float("nan"), 1)).encode(), ":1: .*finite number"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(content)
    with pytest.raises(RunError, match=problem):
        read_contexts(path)


def test_numbers_may_be_ids_and_other_keys_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("\ufeff" + json.dumps(build_line(1, id=12, license=3)) + "\n\n")
    assert [context.id for context in read_contexts(path)] == ["12"]
