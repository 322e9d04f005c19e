"""Runs command lines as processes."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class FinishedProcess:
    code: int
    stdout: str
    stderr: str


async def start_module(module: str, *arguments: str, **settings: str) -> asyncio.subprocess.Process:
    """Start `python -m module` with these settings only; inherited ones are removed."""
    ours = ("EVALUATION_", "INSTRUCTION_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        cwd=ROOT,
        env={**kept, "NO_PROXY": "*", "COLUMNS": "200", **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def wait_for(process: asyncio.subprocess.Process) -> FinishedProcess:
    """Wait for a process to exit."""
    stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return FinishedProcess(process.returncode, stdout.decode(), stderr.decode())


def write_lines(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
