"""Every option says what it does and its default, and a wrong name is told with the near one."""

import subprocess
import sys

import pytest

from tests.training.tuning.test_stages import CAPTIONS, SOURCES
from training.tuning import options
from training.tuning.command import main
from training.tuning.library_logs import start_worker
from training.tuning.options import STAGES, Stage, StageParser, choose_workers


@pytest.mark.parametrize("stage", STAGES)
def test_every_option_has_a_text_and_its_default(stage: Stage) -> None:
    parser = StageParser(stage, "train")
    formatter = parser._get_formatter()
    for action in parser._actions:
        text = formatter._expand_help(action) if action.help else ""
        name = action.option_strings[0]
        assert len(text) > 10, f"{name} has no text"
        assert not text.startswith("default"), name
        assert "None" not in text, f"{name} does not say its default"
        if action.nargs != 0:
            assert ("default: " in text) != ("needed" in text), name


def read_refusal(capsys: pytest.CaptureFixture[str], stage: Stage, *words: str) -> str:
    """Return the one line that a command line is refused with."""
    with pytest.raises(SystemExit) as caught:
        main(stage, words, "train")
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("stage", "given", "near"),
    [
        ("align", "--learning-rat", "--learning-rate"),
        ("instruct", "--mm-projecter-lr", "--mm-projector-lr"),
        ("instruct", "--mm_projector_lr=1e-5", "--mm-projector-lr"),
        ("align", "--dat", "--data"),
    ],
)
def test_a_wrong_name_is_told_with_the_near_one(
    stage: Stage, given: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = read_refusal(capsys, stage, given, "1")
    name = given.partition("=")[0]
    assert line.startswith(f"train {stage}: error: no such option: {name}; did you mean {near}?")


def test_an_option_of_the_other_stage_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--lora is an option of instruct, not of align" in read_refusal(
        capsys, "align", "--lora"
    )


@pytest.mark.parametrize("prefix", ["--mm-projector-t", "--max", "--eval-s", "--freeze"])
def test_a_prefix_is_no_option(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = read_refusal(capsys, "instruct", *SOURCES, *CAPTIONS, "--out", "x", prefix, "1")
    assert f"no such option: {prefix}" in line


def test_images_are_read_by_no_more_processes_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, processes, expected in ((1, "1", 1), (2, "1", 2), (64, "1", 4), (8, "8", 1)):
        monkeypatch.setattr(options, "count_cores", lambda cores=cores: cores)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        assert choose_workers() == expected
        parser = StageParser("align", "train")
        arguments = ["--data", "a.json", "--out", "b"]
        assert parser.parse_args(arguments).workers == expected
        assert parser.parse_args([*arguments, "--workers", "16"]).workers == 16


def test_only_a_lost_reader_is_no_news_of_a_worker(capsys: pytest.CaptureFixture[str]) -> None:
    begun: list[int] = []
    before = sys.excepthook
    try:
        start_worker(begun.append, 3)
        hook = sys.excepthook
    finally:
        sys.excepthook = before
    assert begun == [3]
    for error in (BrokenPipeError(), ConnectionResetError(), EOFError()):
        hook(type(error), error, None)
    assert capsys.readouterr().err == ""
    hook(ValueError, ValueError("something else"), None)
    assert "ValueError: something else" in capsys.readouterr().err


def test_a_missing_kernel_of_bitsandbytes_is_no_news() -> None:
    """Its other warnings are shown. The module is a stand-in: the CPU decides what it logs."""
    program = """
import logging
from training.tuning.library_logs import hide_missing_kernel
hide_missing_kernel()
logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
logger.warning("Failed to load CPU gemm_4bit_forward from kernels-community: %s. Please", "x")
logger.warning("something else")
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stderr == "something else\n"
