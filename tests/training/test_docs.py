"""docs/llava-tiny.md names every option of `python -m training`, and no other."""

import re
from pathlib import Path

from training.__main__ import _build_parser
from training.loop.plan import STAGES

PAGE = (Path(__file__).parents[2] / "docs" / "llava-tiny.md").read_text()


def test_every_option_is_described_and_no_other() -> None:
    options = {name for action in _build_parser()._actions for name in action.option_strings}
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE)) - {"--nproc-per-node"}
    assert named == {name for name in options if name.startswith("--")} - {"--help"}


def test_every_stage_is_described() -> None:
    assert all(f"| `{stage}` |" in PAGE for stage in STAGES)
