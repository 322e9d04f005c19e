"""The requirement files, installed as they stand, hold all that pyproject.toml asks for."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent


def wanted(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][name] for name in extras)]
    return [Requirement(line) for lines in lists for line in lines]


def pinned(*files: str) -> dict[str, Version]:
    """The version of each package, by name."""
    pins: dict[str, Version] = {}
    for file in files:
        for line in (ROOT / "requirements" / f"{file}.txt").read_text().splitlines():
            if line and not line.startswith("#"):
                requirement = Requirement(line)
                (exactly,) = requirement.specifier
                assert exactly.operator == "==", line
                pins[canonicalize_name(requirement.name)] = Version(exactly.version)
    return pins


@pytest.mark.parametrize("accelerator", ["cpu", "cuda"])
def test_every_dependency_is_pinned_within_its_bounds(accelerator: str) -> None:
    pins = pinned(accelerator, "dev")
    for requirement in wanted(accelerator, "dev"):
        assert canonicalize_name(requirement.name) in pins
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier
