"""docs/train.md names every option of both stages, and the files for several GPUs can be read."""

import argparse
import re
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file

from training.tuning.options import Stage, add_options

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "train.md").read_text()
CONFIGURATIONS = sorted((ROOT / "training" / "tuning" / "accelerate").glob("*.yaml"))
# Options of other commands, or of the released trainer.
OTHERS = {
    "--allow-pickle",
    "--nproc-per-node",
    "--config_file",
    "--model",
    "--lora-adapters",
    "--freeze_backbone",
    "--help",
    "--mm_projector_lr",
}


def list_options(stage: Stage) -> set[str]:
    """Return the options of a stage."""
    parser = argparse.ArgumentParser()
    add_options(parser, stage)
    return {name for action in parser._actions for name in action.option_strings} - {"-h", "--help"}


def test_every_option_is_described_and_no_other() -> None:
    options = list_options("align") | list_options("instruct")
    named = set(re.findall(r"--[a-z][a-z0-9_-]+", PAGE))
    assert named - OTHERS == options - OTHERS


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.stem)
def test_accelerate_reads_the_configurations(file: Path) -> None:
    config = load_config_from_file(str(file))
    assert config.num_processes == 8
    assert config.mixed_precision == "bf16"
    assert str(config.distributed_type).upper().endswith(("FSDP", "DEEPSPEED"))


def test_there_are_configurations() -> None:
    assert [file.stem for file in CONFIGURATIONS] == ["fsdp", "zero2", "zero3"]
