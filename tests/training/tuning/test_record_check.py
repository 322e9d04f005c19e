"""Records are checked before weights are read, and what is wrong with them is told in few lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.family import write_llava_llama_3
from tests.training.tuning.fixtures import INPUTS
from tests.training.tuning.test_stages import CAPTIONS, IMAGES, RECORDS, SMALL, SOURCES
from training.tuning import run
from training.tuning.command import main

GOOD: list[Any] = json.loads((INPUTS / "captions.json").read_text())


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where weights are read."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("weights are read")

    monkeypatch.setattr(run, "load_model", refuse)
    monkeypatch.setattr(run, "write_weights", refuse)


def write_records(folder: Path, records: list[Any]) -> Path:
    """Write records to a file."""
    file = folder / "records.json"
    file.write_text(json.dumps(records))
    return file


def check(folder: Path, *options: str | Path, code: int = 1) -> None:
    """Run stage 1 up to the end of its check."""
    given = (*SOURCES, *SMALL, "--out", folder / "out", *options)
    assert main("align", list(map(str, given)), "train") == code


def test_a_wrong_folder_of_images_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    check(tmp_path, "--data", INPUTS / "captions.json", "--images", tmp_path / "images")
    number = len({record["image"] for record in GOOD})
    assert capsys.readouterr().err == (
        f"error: none of the {number} images is in {tmp_path / 'images'}: is --images right?\n"
    )


def test_text_without_images_is_trained_only_if_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}
    data = write_records(tmp_path, [*GOOD[:30], text])
    options = ("--data", data, "--images", tmp_path, "--check-only")
    check(tmp_path, *options)
    assert "none of the " in capsys.readouterr().err
    check(tmp_path, *options, "--skip-bad-records", code=0)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("none of the ")
    assert last == "--data: 1 good record, 30 bad ones left out"


def test_odd_records_are_counted_and_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = [{"from": "human", "value": "<image> Hi"}, {"from": "gpt", "value": "Hello"}]
    long = [turns[0], {"from": "gpt", "value": "Hello " * 900}]
    data = write_records(tmp_path, [*GOOD, {"conversations": turns}, {"conversations": long}])
    options = ("--conv-mode", "vicuna_v1", "--model-max-length", "600", "--check-only")
    check(tmp_path, "--data", data, *IMAGES, *options, code=0)
    assert capsys.readouterr().err.splitlines() == [
        f"--data: {len(GOOD) + 2} good records",
        "--data: 1 record is longer than --model-max-length 600: text beyond it is not trained",
        "--data: 2 records without 'image' have <image>, which is trained as text",
    ]


def test_many_flaws_are_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [{**record, "conversations": []} for record in GOOD[:25]]
    data = write_records(tmp_path, [*records, *GOOD[25:]])
    check(tmp_path, "--data", data, *IMAGES)
    *shown, more, error = capsys.readouterr().err.splitlines()
    file = tmp_path / "out.work" / "bad-data.txt"
    listed = file.read_text().splitlines()
    assert shown == listed[:20]
    assert listed == [f"{data}, record {i}: 'conversations' is empty" for i in range(1, 26)]
    assert more == f"... and 5 more; all are in {file}"
    assert error == (
        "error: 25 of 64 records of --data are bad; --skip-bad-records trains the others"
    )


def test_the_verdict_does_not_need_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_records(tmp_path, [{**record, "conversations": []} for record in GOOD[:25]])
    out = tmp_path / "records.json" / "out"  # a folder that is a file
    check(tmp_path, "--data", data, *IMAGES, "--check-only", "--out", out)
    *shown, more, error = capsys.readouterr().err.splitlines()
    assert len(shown) == 20
    file = tmp_path / "records.json" / "out.work" / "bad-data.txt"
    assert more == f"... and 5 more; they cannot be listed in {file}: Not a directory"
    assert error == "error: all 25 records of --data are bad"


def test_names_that_are_not_unicode_are_in_the_file(tmp_path: Path) -> None:
    records = [{**record, "image": "\ud800.png"} for record in GOOD[:25]]
    check(tmp_path, "--data", write_records(tmp_path, [*records, *GOOD[25:]]), *IMAGES)
    listed = (tmp_path / "out.work" / "bad-data.txt").read_text().splitlines()
    assert len(listed) == 25
    assert listed[0].endswith("\\ud800.png is missing")


def test_a_check_that_cannot_split_a_model_does_not_speak_of_resuming(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published = write_llava_llama_3(tmp_path / "published").path
    (tmp_path / "file").touch()
    given = ("--model", published, *RECORDS, *SMALL, "--out", tmp_path / "file" / "out")
    assert main("instruct", [*map(str, given), "--check-only"], "train") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith("/out.work: Not a directory")


@pytest.mark.parametrize(
    ("records", "options", "message"),
    [
        ([], (), "--eval-data has no records"),
        ([{}], (), "the only record of --eval-data is bad"),
        ([{}, GOOD[0]], (), "1 of 2 records of --eval-data is bad; --skip-bad-records trains the"),
        ([{}, {}], ("--skip-bad-records",), "all 2 records of --eval-data are bad"),
    ],
)
def test_records_to_evaluate_are_told_apart(
    records: list[Any],
    options: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check(tmp_path, *CAPTIONS, "--eval-data", write_records(tmp_path, records), *options)
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {message}")


def test_one_process_of_several_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    check(tmp_path, "--data", write_records(tmp_path, [{}] * 30), *IMAGES)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: all 30 records of --data are bad; the first: ")
    assert line.endswith("record 1: it has no 'conversations'")
    assert not (tmp_path / "out.work").exists()


def test_a_finished_llava_is_taken_apart_after_the_check(tmp_path: Path) -> None:
    published = write_llava_llama_3(tmp_path / "published").path
    given = ("--model", published, "--conv-mode", "llava_llama_3", *RECORDS, *SMALL)
    words = [*map(str, given), "--image-aspect-ratio", "pad", "--out", str(tmp_path / "out")]
    assert main("instruct", [*words, "--check-only"], "train") == 0
    assert not list((tmp_path / "out.work").rglob("*.safetensors"))
    with pytest.raises(AssertionError, match="weights are read"):
        main("instruct", words, "train")
