"""The command that starts MPS before the server, with stand-ins for both programs."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docker" / "with_mps.sh"


def write_program(folder: Path, name: str, lines: str) -> None:
    """Write a program of the shell."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{lines}\n")
    program.chmod(0o755)


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the script, which finds its programs in the folder first."""
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "CUDA_MPS_PIPE_DIRECTORY": str(folder / "pipes"),
        "CUDA_MPS_LOG_DIRECTORY": str(folder / "logs"),
    }
    return subprocess.run(
        [SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_the_server_finds_the_service(tmp_path: Path) -> None:
    write_program(tmp_path, "nvidia-cuda-mps-control", 'echo "$1" > "$CUDA_MPS_PIPE_DIRECTORY/ran"')
    write_program(tmp_path, "python3", 'cat "$CUDA_MPS_PIPE_DIRECTORY/ran"; printf "%s|" "$@"')
    ended = run(tmp_path, "--model", "a b")
    assert ended.stdout == "-d\n-m|server|--model|a b|"
    assert (tmp_path / "logs").is_dir()


def test_without_the_service_nothing_starts(tmp_path: Path) -> None:
    write_program(tmp_path, "nvidia-cuda-mps-control", "exit 3")
    write_program(tmp_path, "python3", "echo started")
    ended = run(tmp_path)
    assert (ended.returncode, ended.stdout) == (3, "")
