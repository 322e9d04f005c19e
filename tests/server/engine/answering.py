"""Runs the answer program: in full, or up to its answers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from server.checkpoint.config import Checkpoint
from tests.server.engine.answer_program import Answer

LIMIT_S: Final = 240


def run_answer_program(checkpoint: Checkpoint, **settings: Any) -> list[Answer]:
    """Run the program with these settings and return its answers."""
    with started_answer_program(checkpoint, **settings) as program:
        _, log = program.communicate(timeout=LIMIT_S)
    assert program.returncode == 0, log
    return read_answers(checkpoint)


@contextmanager
def started_answer_program(
    checkpoint: Checkpoint, **settings: Any
) -> Iterator[subprocess.Popen[str]]:
    """Start the program; kill it at the end of the block, if it still runs."""
    arguments = [str(checkpoint.path), str(_answers_file(checkpoint)), json.dumps(settings)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.server.engine.answer_program", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            yield program
        finally:
            program.kill()


def read_answers(checkpoint: Checkpoint) -> list[Answer]:
    """Return the answers that the program wrote."""
    content = json.loads(_answers_file(checkpoint).read_bytes())
    return [Answer(**answer) for answer in content]


def _answers_file(checkpoint: Checkpoint) -> Path:
    return checkpoint.path / "answers.json"
