"""Records are read from every kind of file, and bad ones are told with their place."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from training.tuning.errors import DataError
from training.tuning.record_files import open_record_file
from training.tuning.records import parse_record

QUESTION = {"from": "human", "value": "<image>\nWhat is this?"}
ANSWER = {"from": "gpt", "value": "A circle."}
GOOD = {"id": "1", "image": "a.png", "conversations": [QUESTION, ANSWER]}


def with_turns(*turns: tuple[str, str], **fields: Any) -> dict[str, Any]:
    """Return a record of these turns."""
    return {"conversations": [{"from": role, "value": text} for role, text in turns], **fields}


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
def test_records_are_read(suffix: str, tmp_path: Path) -> None:
    records = [GOOD, with_turns(("user", "Hi"), ("assistant", "Hello"))]
    file = tmp_path / f"data{suffix}"
    if suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), file)
    elif suffix == ".jsonl":
        file.write_text("\n\n".join(map(json.dumps, records)))
    else:
        file.write_text(json.dumps(records))
    opened = open_record_file(file)
    assert len(opened) == 2
    first, second = (parse_record(opened.read(index), "") for index in range(2))
    assert first.images == ("a.png",)
    assert first.turns[1] == ("assistant", "A circle.")
    assert (second.images, second.num_words) == ((), 2)
    place = {".json": "record 2", ".jsonl": "line 3", ".parquet": "row 2"}[suffix]
    assert opened.describe(1) == f"{file}, {place}"


def test_a_system_text_and_several_images() -> None:
    record = parse_record(
        with_turns(
            ("system", "Be brief."),
            ("human", "<image> and <image>"),
            ("gpt", "Two."),
            image=["a.png", "b.png"],
        ),
        "",
    )
    assert (record.system, len(record.images), len(record.turns)) == ("Be brief.", 2, 2)


@pytest.mark.parametrize("nothing", [[], None, ""])
def test_an_empty_column_of_another_name_is_no_flaw(nothing: Any) -> None:
    turns = (("human", "a"), ("gpt", "b"))
    record = parse_record(with_turns(*turns, images=nothing, messages=nothing), "")
    assert (record.images, len(record.turns)) == ((), 2)


@pytest.mark.parametrize(
    ("record", "flaw"),
    [
        ("text", "it is not a JSON object"),
        ({}, "it has no 'conversations'"),
        ({"messages": []}, "it has no 'conversations'"),
        ({"messages": [{}]}, "it has 'messages', where 'conversations' is needed"),
        (
            with_turns(("human", "<image>"), ("gpt", "b"), images=["a"]),
            "it has 'images', where 'image' is needed",
        ),
        ({"conversations": "a"}, "'conversations' is not a list"),
        ({"conversations": []}, "'conversations' is empty"),
        ({"conversations": [{"from": "human"}]}, "turn 1 has no text 'value'"),
        ({"conversations": ["Hi"]}, "turn 1 has no text 'value'"),
        (with_turns(("bot", "Hi")), "turn 1 is from 'bot'"),
        ({"conversations": [{"from": ["gpt"], "value": "a"}]}, "turn 1 is from ['gpt']"),
        (with_turns(("human", " "), ("gpt", "a")), "turn 1 is empty"),
        (with_turns(("human", "a"), ("gpt", "")), "turn 2 is empty"),
        (with_turns(("human", "a"), ("gpt", "\ud800")), "turn 2 holds half of a surrogate pair"),
        (with_turns(("human", "a"), ("human", "b")), "turn 2 is the user's"),
        (with_turns(("gpt", "a"), ("human", "b")), "turn 1 is the assistant's"),
        (with_turns(("human", "a")), "it ends with the user's turn"),
        (with_turns(("system", "a")), "it has only a system text"),
        (with_turns(("human", "a"), ("gpt", "b"), image=3), "'image' must be"),
        (with_turns(("human", "a"), ("gpt", "b"), image=""), "'image' must be"),
        (
            with_turns(("human", "a"), ("gpt", "b"), image="a.png"),
            "it has no <image> for its image",
        ),
        (
            with_turns(("human", "<image>"), ("gpt", "b"), image=["a", "b"]),
            "it has 1 <image> for 2 images",
        ),
        (
            with_turns(
                ("human", "<image>"), ("gpt", "b"), ("human", "<image>"), ("gpt", "c"), image="a"
            ),
            "it has <image> in 2 turns for its image",
        ),
        (with_turns(("human", "a"), ("gpt", "<image>"), image="a"), "an answer contains <image>"),
    ],
)
def test_bad_records_are_told(record: Any, flaw: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_record(record, "data.json, record 7")
    assert str(caught.value).startswith(f"data.json, record 7: {flaw}")


@pytest.mark.parametrize(
    ("name", "content", "flaw"),
    [
        ("a.json", b"{", "is not a JSON file"),
        ("a.json", b"[" * 100_000, "is not a JSON file"),
        ("a.json", b"{}", "does not hold a list"),
        ("a.json", b"", "is not a JSON file: it is empty"),
        ("a.json", b"{}\n{}", r"if each line is a record, its name must end with \.jsonl"),
        ("a.jsonl", b"\xef\xbb\xbf[\n{}]", r"begins with a list: if it is JSON, name it \.json"),
        ("a.parquet", b"no", "is not a Parquet file"),
        ("a.txt", b"", "must end with one of .json, .jsonl, .parquet, .tar"),
        ("a.tar", b"no", "is not an uncompressed tar file"),
    ],
)
def test_bad_files_are_told(name: str, content: bytes, flaw: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=flaw):
        open_record_file(tmp_path / name)


def test_a_table_without_turns_is_told(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"id": ["1"], "text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="has no column 'conversations', but id, text"):
        open_record_file(tmp_path / "a.parquet")


def test_a_row_that_is_no_text_is_told(tmp_path: Path) -> None:
    offsets = bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0])
    texts = pyarrow.Array.from_buffers(
        pyarrow.string(),
        2,
        [
            None,
            pyarrow.py_buffer(offsets),
            pyarrow.py_buffer(b"a\xff"),
        ],
    )
    pyarrow.parquet.write_table(
        pyarrow.table({"id": texts, "conversations": [None, None]}), tmp_path / "a.parquet"
    )
    opened = open_record_file(tmp_path / "a.parquet")
    assert opened.read(0) == {"id": "a"}
    with pytest.raises(DataError, match="row 2 cannot be read"):
        opened.read(1)


def test_a_bad_line_is_told_when_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(f"{json.dumps(GOOD)}\n{{\n{'[' * 100_000}\n")
    opened = open_record_file(file)
    opened.read(0)
    for index in (1, 2):
        with pytest.raises(DataError, match=f"line {index + 1} is not JSON"):
            opened.read(index)
    with pytest.raises(DataError, match="cannot be read"):
        open_record_file(tmp_path / "missing.jsonl")
