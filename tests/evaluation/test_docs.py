"""docs/evaluation.md names every command and every option, and no other option."""

import re
from pathlib import Path

from evaluation.__main__ import app
from tests.asking.commands import collect_commands, collect_options, collect_variables

DOCS = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
# The last section is about other programs and their options.
OURS = DOCS.split("\n## Other harnesses\n")[0]
COMMANDS = collect_commands(app)


def test_every_command_is_described() -> None:
    for name in COMMANDS:
        assert f"llava-server evaluate {name}" in DOCS, name


def test_every_option_is_described_and_no_other() -> None:
    assert set(re.findall(r"--[a-z][a-z-]+", OURS)) == collect_options(COMMANDS)


def test_every_environment_variable_is_described() -> None:
    assert set(re.findall(r"EVALUATION_[A-Z_]+", DOCS)) == collect_variables(COMMANDS)
