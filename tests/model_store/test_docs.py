"""docs/model-store.md lists every command with its options, and every key of a manifest."""

import re
from pathlib import Path

import pytest
import typer.core
import typer.main

from model_store.__main__ import app
from model_store.manifest import Manifest, ManifestFile
from model_store.weights import PICKLES

PAGE = (Path(__file__).parents[2] / "docs" / "model-store.md").read_text()


@pytest.mark.parametrize("command", typer.main.get_group(app).commands.values(), ids=str)
def test_commands(command: typer.core.TyperCommand) -> None:
    row = re.search(rf"^\| `{command.name}\b(.*?)`", PAGE, re.M)
    assert row, command.name
    options = {name for parameter in command.params for name in parameter.opts if name[:2] == "--"}
    assert options == set(re.findall(r"--[a-z-]+", row[1]))


@pytest.mark.parametrize(
    "key", [*Manifest.model_fields, *ManifestFile.model_fields, *sorted(PICKLES)]
)
def test_words(key: str) -> None:
    assert f"`{key}`" in PAGE
