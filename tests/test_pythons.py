"""The Pythons that are allowed are named alike in pyproject.toml, in set-up and in the README."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ALLOWED = SpecifierSet(PROJECT["requires-python"])
SETUP = (ROOT / "scripts" / "setup.sh").read_text()

# Runs a program as if it were another version.
INTERPRETER = """#!/bin/sh
exec {python} -c 'import sys
sys.version_info = ({version}, "final", 0)
exec(sys.argv[1])' "$2"
"""


def test_versions() -> None:
    classifiers = re.findall(r"Python :: 3\.(\d+)$", "\n".join(PROJECT["classifiers"]), re.M)
    minors = [int(minor) for minor in classifiers]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert minors == [minor for minor in range(100) if f"3.{minor}.9" in ALLOWED]
    readme = (ROOT / "README.md").read_text()
    assert f"Python 3.{minors[0]} to 3.{minors[-1]} and make" in readme
    assert f"python3.{minors[0]} to python3.{minors[-1]}" in SETUP


@pytest.mark.parametrize(
    "version", ["3.10.14", "3.11.2", "3.12.0", "3.13.5", "3.14.0", "3.14.1", "3.14.2", "3.15.0"]
)
def test_set_up_takes_those_that_are_allowed(version: str, tmp_path: Path) -> None:
    check = re.search(r"^suitable\(\) \{.*?^\}", SETUP, re.M | re.S)
    assert check is not None
    python = tmp_path / "python"
    python.write_text(INTERPRETER.format(python=sys.executable, version=version.replace(".", ", ")))
    python.chmod(0o755)
    result = subprocess.run(["sh", "-c", f"{check[0]}\nsuitable {python}"])
    assert (result.returncode == 0) == (version in ALLOWED)
