"""docs/instruction-data.md names every command and every option, and no other option."""

import re
from pathlib import Path

from model_store.instruction.__main__ import app
from model_store.instruction.captions.folder import JOURNAL_FILE, RESULTS_FILE, SET_ASIDE_FILE
from model_store.instruction.captions.plan import PLAN_FILE
from model_store.instruction.records import ALL_FILE, FILES
from tests.asking.commands import collect_commands, collect_options, collect_variables

DOCS = (Path(__file__).parents[3] / "docs" / "instruction-data.md").read_text()
COMMANDS = collect_commands(app)


def test_every_command_is_described() -> None:
    for name in COMMANDS:
        assert f"python -m model_store.instruction {name}" in DOCS, name


def test_every_option_is_described_and_no_other() -> None:
    assert set(re.findall(r"--[a-z][a-z-]+", DOCS)) == collect_options(COMMANDS)


def test_every_environment_variable_is_described() -> None:
    assert set(re.findall(r"INSTRUCTION_[A-Z_]+", DOCS)) == collect_variables(COMMANDS)


def test_every_file_that_is_written_is_described() -> None:
    written = {*FILES.values(), ALL_FILE, JOURNAL_FILE, SET_ASIDE_FILE, RESULTS_FILE, PLAN_FILE}
    assert {name for name in written if f"`{name}`" not in DOCS} == set()
