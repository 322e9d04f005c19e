"""WebDataset's shards: samples of an image, and a record or a caption."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from training.tuning.errors import DataError
from training.tuning.record_files import open_record_file
from training.tuning.records import Record, parse_record
from training.tuning.webdataset import TarMember

TURNS = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]


Members = Sequence[tuple[str, bytes]]


def write_shard(folder: Path, members: dict[str, bytes] | Members) -> Path:
    """Write an uncompressed tar. A list may have a name twice."""
    path = folder / "shard.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in members.items() if isinstance(members, dict) else members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def read_record(path: Path, index: int = 0) -> Record:
    """Return a shard's record, checked."""
    shard = open_record_file(path)
    return parse_record(shard.read(index), shard.describe(index))


def encode(content: Any) -> bytes:
    """Return JSON."""
    return json.dumps(content).encode()


def test_records_and_captions_with_their_images(tmp_path: Path) -> None:
    shard = write_shard(
        tmp_path,
        {
            "a/0.jpg": b"first",
            "a/0.json": encode({"id": "cat", "image": "elsewhere.jpg", "conversations": TURNS}),
            "a/1.txt": b"A dog.",
            "a/1.png": b"second",
            "a/1.json": encode({"caption": "metadata", "width": 3}),
            "notes": b"no sample",
        },
    )
    assert len(open_record_file(shard)) == 2
    record, caption = read_record(shard), read_record(shard, 1)
    assert (record.id, record.source) == ("cat", f"{shard}, sample a/0")
    (image,) = record.images
    assert isinstance(image, TarMember)
    assert (image.read(), str(image)) == (b"first", f"a/0.jpg of {shard}")
    assert caption.turns == (("user", "<image>"), ("assistant", "A dog."))
    assert [each.read() for each in caption.images if isinstance(each, TarMember)] == [b"second"]


def test_several_images_and_none(tmp_path: Path) -> None:
    turns = [{**TURNS[0], "value": "<image><image> Compare."}, TURNS[1]]
    text = [{**TURNS[0], "value": "Hi"}, TURNS[1]]
    shard = write_shard(
        tmp_path,
        {
            "0.left.jpg": b"one",
            "0.right.jpg": b"two",
            "0.json": encode({"conversations": turns}),
            "1.json": encode({"conversations": text}),
        },
    )
    assert len(read_record(shard).images) == 2
    assert read_record(shard, 1).images == ()


@pytest.mark.parametrize(
    ("members", "flaw"),
    [
        ({"0.jpg": b""}, r"has neither a \.json nor a \.txt"),
        ({"0.jpg": b"", "0.json": b"{}"}, "it has no 'conversations'"),
        ({"0.jpg": b"", "0.json": b"{"}, "has no usable .json"),
        ({"0.jpg": b"", "0.json": b"[" * 100_000}, "has no usable .json"),
        ({"0.jpg": b"", "0.txt": b"\xff"}, "has no usable .txt"),
        ({"0.txt": b"A cat."}, "has a caption and no image"),
        ({"0.jpg": b"", "0.json": b"[]"}, "it is not a JSON object"),
        ({"0.a.jpg": b"", "0.b.jpg": b"", "0.txt": b"Cats."}, "1 <image> for 2 images"),
    ],
)
def test_bad_samples_are_told(members: dict[str, bytes], flaw: str, tmp_path: Path) -> None:
    shard = write_shard(tmp_path, members)
    with pytest.raises(DataError, match="sample 0.*" + flaw):
        read_record(shard)


@pytest.mark.parametrize("again", ["0.jpg", "0.JPG", "0.json"])
def test_a_member_that_a_sample_has_twice_is_told(again: str, tmp_path: Path) -> None:
    record = encode({"conversations": TURNS})
    members = [("0.jpg", b"one"), ("0.json", record), ("1.jpg", b"two"), ("1.json", record)]
    shard = write_shard(tmp_path, [*members, (again, record)])
    with pytest.raises(DataError, match=f"sample 0 has two members .{again[2:].lower()}"):
        read_record(shard)
    assert len(read_record(shard, 1).images) == 1


@pytest.mark.parametrize("kept", [600, 1500, 2100])
def test_a_damaged_shard_is_told(kept: int, tmp_path: Path) -> None:
    shard = write_shard(tmp_path, {f"{number}.txt": b"A cat." * 99 for number in range(4)})
    whole = shard.read_bytes()
    shard.write_bytes(whole[:kept])
    with pytest.raises(DataError, match="is not an uncompressed tar file"):
        open_record_file(shard)
    shard.write_bytes(whole[:kept] + b"x" * 1024 + whole[kept:])
    with pytest.raises(DataError, match="is not an uncompressed tar file"):
        open_record_file(shard)
