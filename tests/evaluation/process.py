"""The real command line, as a process of its own."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Finished:
    code: int
    stdout: str
    stderr: str


async def start(*arguments: str) -> asyncio.subprocess.Process:
    """Start `python -m evaluation`; nothing of this shell's settings leaks into it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("EVALUATION_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "evaluation", *arguments),
        cwd=ROOT,
        env={**kept, "NO_PROXY": "*", "COLUMNS": "200", "EVALUATION_API_KEY": "a-key"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def evaluation(*arguments: str) -> Finished:
    """Run `python -m evaluation` to its end."""
    process = await start(*arguments)
    stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return Finished(process.returncode, stdout.decode(), stderr.decode())


def write_lines(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
