"""The requirement files, installed as they stand, hold all that pyproject.toml asks for."""

import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
# What set-up installs on top of an engine.
ON_TOP = ("train", "evaluation", "ray", "dev")


def applies(requirement: Requirement, python: str) -> bool:
    """Return whether a requirement holds for this Python on x86-64."""
    environment = {"python_version": python, "platform_machine": "x86_64"}
    return requirement.marker is None or requirement.marker.evaluate(environment)


def wanted(python: str, *extras: str) -> list[Requirement]:
    optional = PROJECT["optional-dependencies"]
    lists = [PROJECT["dependencies"], *(optional[name] for name in extras)]
    requirements = [Requirement(line) for lines in lists for line in lines]
    return [requirement for requirement in requirements if applies(requirement, python)]


def pins(python: str, *files: str) -> Iterator[Requirement]:
    """Yield the lines of requirement files that hold for this Python."""
    for file in files:
        for line in (ROOT / "requirements" / f"{file}.txt").read_text().splitlines():
            if line and not line.startswith("#") and applies(Requirement(line), python):
                yield Requirement(line)


def pinned(python: str, *files: str) -> dict[str, Version]:
    """The version of each package, by name; each package in one file, once."""
    versions: dict[str, Version] = {}
    for requirement in pins(python, *files):
        (exactly,) = requirement.specifier
        assert exactly.operator == "==", requirement
        name = canonicalize_name(requirement.name)
        assert name not in versions
        versions[name] = Version(exactly.version)
    return versions


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("accelerator", ["cpu", "cuda"])
def test_every_dependency_is_pinned_within_its_bounds(accelerator: str, python: str) -> None:
    versions = pinned(python, accelerator, *ON_TOP)
    for requirement in wanted(python, accelerator, *ON_TOP):
        assert canonicalize_name(requirement.name) in versions, requirement
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("python", PYTHONS)
def test_what_is_pinned_allows_every_python(python: str) -> None:
    for requirement in pins(python, "cpu", *ON_TOP):
        allowed = requires_python(requirement.name)
        assert f"{python}.9" in SpecifierSet(allowed), f"{requirement} needs Python {allowed}"


def requires_python(name: str) -> str:
    """Return what Pythons the installed package of this name allows."""
    try:
        return str(metadata(name).json.get("requires_python", ""))
    except PackageNotFoundError:  # on a GPU
        return ""
