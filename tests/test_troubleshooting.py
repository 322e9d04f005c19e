"""docs/troubleshooting.md lists every message of set-up, of a start that fails, and of a pull."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.engine.start_failure import CAUSES

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "troubleshooting.md").read_text()
FOLDERS = (
    "server/start",
    *("server/checkpoint", "server/engine", "server/engine/vllm", "server/images/vision"),
    "server/prompt",
    *("model_store/convert", "model_store"),
)
ERRORS = {
    *("CheckpointError", "UnknownModel", "NoManifest", "PullError", "PickleRefused"),
    *("ConversionError",),
}
# Their errors become those of the checkpoint.
CONFIGURATIONS = {
    ROOT / "server" / "checkpoint" / f"{name}.py"
    for name in (
        *("activation", "aspect_ratio", "feature_layers", "preprocessing", "processor"),
        *("s2", "video", "vision", "whole_number"),
    )
}
# It yields pairs of a setting's name and a message.
PROBLEMS = ROOT / "server" / "engine" / "problems.py"


def python_messages() -> Iterator[str]:
    """Yield the messages of errors that end a start, a pull or a conversion."""
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).glob("*.py")):
            kinds = ERRORS | ({"ValueError"} if file in CONFIGURATIONS else set())
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in kinds:
                    yield message(node.args[0])
                elif file == PROBLEMS and isinstance(node, ast.Yield):
                    assert isinstance(node.value, ast.Tuple)
                    yield message(node.value.elts[1])


def message(node: ast.expr) -> str:
    """Write a string as the guide does, with … for each value."""
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(values):
            return "".join(map(message, values))
    return "…"


def engine_messages() -> Iterator[str]:
    """Yield the messages of an engine that cannot start."""
    for _, text in CAUSES:
        yield re.sub(r"\\\d", "…", text)


def shell_messages() -> Iterator[str]:
    """Yield the messages of the scripts that set things up."""
    for name in ("setup", "install_engine", "clients"):
        script = (ROOT / "scripts" / f"{name}.sh").read_text()
        for text in re.findall(r'\bfail "([^"]+)"', script):
            yield re.sub(r"\$\(.*?\)|\$\w+", "…", text)


@pytest.mark.parametrize(
    "text",
    sorted(
        {
            *filter(re.compile("[a-z]").search, python_messages()),
            *engine_messages(),
            *shell_messages(),
        }
    ),
)
def test_messages(text: str) -> None:
    assert f"`{text}`" in GUIDE
