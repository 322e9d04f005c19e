"""Runs a scorer on answers written as `vqa` writes them."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from evaluation.__main__ import app
from tests.asking.process import write_lines


def write_answers(folder: Path, *answers: tuple[Any, str] | tuple[Any, str, str]) -> str:
    """Write answers of (question id, text) or (question id, text, prompt); return the path."""
    records = [
        {
            "question_id": answer[0],
            "prompt": answer[2] if len(answer) == 3 else "?",
            "text": answer[1],
            "answer_id": "x",
            "model_id": "m",
            "metadata": {},
        }
        for answer in answers
    ]
    return str(write_lines(folder / "answers.jsonl", *records))


def write_json(path: Path, value: Any) -> str:
    path.write_text(json.dumps(value))
    return str(path)


def score(*command: str) -> tuple[dict[str, Any], str]:
    """Run a command; return its JSON object and what it printed on stderr."""
    outcome = CliRunner().invoke(app, [*command, "--json"])
    assert outcome.exit_code == 0, (outcome.stderr, outcome.exception)
    table = CliRunner().invoke(app, list(command))
    assert table.exit_code == 0
    assert "─" in table.stdout
    return json.loads(outcome.stdout), outcome.stderr


def failure(*command: str) -> str:
    """Run a command that fails; return its message."""
    outcome = CliRunner().invoke(app, list(command))
    assert outcome.exit_code == 1, outcome.stdout
    return str(outcome.exception)


def misuse(*command: str) -> str:
    """Run a command whose options are wrong; return its message."""
    outcome = CliRunner().invoke(app, list(command))
    assert outcome.exit_code == 2, outcome.stdout
    return outcome.stderr
