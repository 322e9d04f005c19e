"""Options that are wrong, contradictory or without effect end a run before a model is read."""

import argparse
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.tuning.fixtures import INPUTS, write_qwen2
from tests.training.tuning.test_stages import CAPTIONS, RECORDS, SOURCES
from training.tuning import run
from training.tuning.checks import LIMITS, PARTNERS, name_option
from training.tuning.command import main
from training.tuning.options import Stage, add_options

REQUIRED: dict[Stage, tuple[str, ...]] = {
    "align": (*SOURCES, *CAPTIONS),
    "instruct": (*SOURCES, *RECORDS),
}


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a model is loaded."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr(run, "load_model", refuse)


def list_numbers(stage: Stage) -> dict[str, argparse.Action]:
    """Return the options of a stage that are numbers, by their names."""
    parser = argparse.ArgumentParser()
    add_options(parser, stage)
    return {each.dest: each for each in parser._actions if each.type in (int, float)}


def read_refusal(
    capsys: pytest.CaptureFixture[str], stage: Stage, folder: Path, *options: str | Path
) -> str:
    """Return the one line that a refused run prints."""
    given = [*REQUIRED[stage], "--out", str(folder / "out"), *map(str, options)]
    assert main(stage, given, "train") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert not list(folder.glob("out*"))
    assert line.startswith("error: ")
    return line


def test_every_number_has_limits() -> None:
    numbers = list_numbers("align") | list_numbers("instruct")
    # One is of the tower, others have choices.
    others = {name for name, each in numbers.items() if each.choices} | {"mm_vision_select_layer"}
    assert numbers.keys() == LIMITS.keys() | others


def list_bad_numbers() -> list[tuple[str, str]]:
    """Return values that argparse takes and that are beyond every limit, by option."""
    return [
        (name, value)
        for name, action in list_numbers("instruct").items()
        for value in (("-2",) if action.type is int else ("-2", "nan", "inf", "-inf"))
        if name in LIMITS
    ]


@pytest.mark.parametrize(("name", "value"), list_bad_numbers())
def test_numbers_out_of_limits_are_told(
    name: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option = name_option(name)
    line = read_refusal(capsys, "instruct", tmp_path, f"{option}={value}", "--lora")
    assert line.startswith(f"error: {option} {value}")
    assert " must be " in line


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--epochs", "0"), ("--max-steps", "0"), ("--save-steps", "0"), ("--log-steps", "0")),
        *(("--eval-steps", "0"), ("--lora-r", "0"), ("--lora-alpha", "0")),
        *(("--lora-dropout", "1"), ("--warmup-ratio", "1"), ("--seed", str(1 << 32))),
        *(("--model-max-length", "0"), ("--per-device-batch-size", "0")),
    ],
)
def test_the_first_number_beyond_is_told(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"{option} {value}" in read_refusal(
        capsys, "instruct", tmp_path, option, value, "--lora"
    )


@pytest.mark.parametrize("name", PARTNERS)
def test_options_without_effect_are_told(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option = name_option(name)
    given = (option,) if name == "merge_lora" else (option, "0.5" if "dropout" in name else "5")
    line = read_refusal(capsys, "instruct", tmp_path, *given)
    assert line == f"error: {option} needs {name_option(PARTNERS[name])}"


def test_an_option_of_0_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = read_refusal(capsys, "instruct", tmp_path, "--lora-dropout", "0")
    assert line == "error: --lora-dropout needs --lora"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--epochs", "2", "--max-steps", "3"), "leave out --epochs"),
        (
            ("--mm-projector-type", "identity"),
            "a projector of the type identity has nothing to train",
        ),
        (
            ("--mm-projector-type", "mlpx"),
            "--mm-projector-type: there is no projector of the type 'mlpx'",
        ),
        (("--mm-projector", "nope.bin"), "--mm-projector nope.bin cannot be read: No such file"),
        (("--report-to", "foo"), "--report-to 'foo' is unknown; take one of none, all, azure_ml"),
        (("--report-to", "neptune"), "--report-to neptune needs a package that is not installed"),
        (("--deepspeed", "nope.json"), "--deepspeed nope.json cannot be read: No such file"),
        (("--deepspeed", INPUTS / "data.json"), "data.json does not hold a JSON object"),
        (("--data", "nope.json"), "--data nope.json cannot be read: No such file"),
        (("--data", INPUTS), "cannot be read: Is a directory"),
        (
            ("--data", INPUTS / "llama/tokenizer.model"),
            "must end with one of .json, .jsonl, .parquet, .tar",
        ),
        (("--eval-data", "nope.json"), "--eval-data nope.json cannot be read"),
        (("--images", "nope"), "--images nope is not a folder"),
        (("--images", "n" * 5000), " is not a folder"),
        (("--batch-size", "9", "--per-device-batch-size", "2"), "is not a multiple of"),
        (("--conv-mode", "mpt"), "--conv-mode 'mpt' cannot be trained; supported: vicuna_v1, "),
        (("--conv-mode", "chat_template"), "'chat_template' cannot be trained; supported: "),
    ],
)
@pytest.mark.parametrize("stage", ["align", "instruct"])
def test_other_mistakes_are_told(
    stage: Stage,
    options: tuple[str | Path, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert message in read_refusal(capsys, stage, tmp_path, *options)


@pytest.mark.parametrize(
    ("option", "value"), [("--mm-projector-type", "linear"), ("--mm-vision-select-layer", "-2")]
)
def test_what_the_model_says_is_left_out(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--model", INPUTS, *RECORDS, "--out", tmp_path / "out", option, value)
    assert main("instruct", list(map(str, given)), "train") == 1
    assert f"--model already says what is trained: leave out {option}" in capsys.readouterr().err


def test_missing_packages_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zero.json").write_text(json.dumps({"zero_optimization": {"stage": 2}}))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for options, name in (
        (("--deepspeed", tmp_path / "zero.json"), "--deepspeed needs the package deepspeed"),
        (("--lora", "--bits", "4"), "--bits 4 needs the package bitsandbytes"),
    ):
        assert name in read_refusal(capsys, "instruct", tmp_path, *options)


def test_a_gpu_without_bfloat16_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert "--bf16 is not" in read_refusal(capsys, "instruct", tmp_path, "--bf16")


@pytest.mark.parametrize(
    ("conv_mode", "mark"),
    [
        ("llava_llama_3", "<|end_header_id|>, <|eot_id|>, <|start_header_id|>"),
        ("llama_3", "<|end_header_id|>, <|eot_id|>, <|start_header_id|>"),
        ("chatml_direct", "<|im_end|>, <|im_start|>"),
        ("qwen_1_5", "<|im_end|>, <|im_start|>"),
    ],
)
def test_a_template_whose_marks_are_no_tokens_is_told(
    conv_mode: str, mark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = read_refusal(capsys, "instruct", tmp_path, "--conv-mode", conv_mode)
    assert f"--conv-mode {conv_mode} needs the tokens " in line
    assert f"{mark}, which {INPUTS / 'llama'} lacks" in line


@pytest.mark.parametrize(
    ("conv_mode", "is_qwen"),
    [
        *((each, False) for each in ("vicuna_v1", "llava_v0", "llama_2", "mistral_instruct")),
        *((each, True) for each in ("chatml_direct", "qwen_1_5", "vicuna_v1")),
    ],
)
def test_templates_whose_marks_are_text_or_tokens_are_trained(
    conv_mode: str, is_qwen: bool, tmp_path: Path
) -> None:
    language = write_qwen2(tmp_path / "qwen2") if is_qwen else INPUTS / "llama"
    given = ("--language-model", language, "--conv-mode", conv_mode, "--out", tmp_path / "out")
    with pytest.raises(AssertionError, match="a model is loaded"):
        main("instruct", [*REQUIRED["instruct"], *map(str, given)], "train")
