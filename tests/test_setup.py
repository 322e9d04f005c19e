"""Set-up prints a line for each step, and keeps what pip says for those who need it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PIP_LINES = 500

# An interpreter whose environments are copies of it, and whose pip says much and installs nothing.
INTERPRETER = """#!/bin/sh
case "$*" in
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m pip install"*)
        seq -f 'Collecting package %.0f' {lines}
        case "$*" in *{broken}*) echo 'ERROR: no such package' >&2; exit 1 ;; esac ;;
    "-m pip"*) ;;
    *) exec {python} "$@" ;;
esac
"""


def set_up(folder: Path, broken: str) -> subprocess.CompletedProcess[str]:
    """Set up in a copy of what set-up reads; pip fails where its words hold `broken`."""
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    python = folder / "python"
    python.write_text(INTERPRETER.format(lines=PIP_LINES, broken=broken, python=sys.executable))
    python.chmod(0o755)
    return subprocess.run(
        [folder / "scripts" / "setup.sh"],
        env=os.environ | {"PYTHON": str(python), "ACCELERATOR": "cpu"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_each_step_is_a_line(tmp_path: Path) -> None:
    run = set_up(tmp_path, "nothing-is-broken")
    assert (run.returncode, run.stderr) == (0, "")
    *steps, last = run.stdout.splitlines()
    assert [step[:5] for step in steps] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert last == ".venv is ready"
    log = (tmp_path / ".venv" / "setup.log").read_text()
    assert log.count(f"Collecting package {PIP_LINES}\n") == 4


@pytest.mark.parametrize(
    ("broken", "what"),
    [("cpu.txt", "the engine"), ("dev.txt", "the tools"), ("no-build-isolation", "the server")],
)
def test_a_failure_shows_the_end_of_the_log_and_where_it_is(
    broken: str, what: str, tmp_path: Path
) -> None:
    run = set_up(tmp_path, broken)
    assert run.returncode != 0
    *shown, error, last = run.stderr.splitlines()
    log = tmp_path / ".venv" / "setup.log"
    assert last == f"set-up failed: could not install {what}; the whole log is {log}"
    assert error == "ERROR: no such package"
    assert 0 < len(shown) < 30
    assert error in log.read_text()
    assert ".venv is ready" not in run.stdout
