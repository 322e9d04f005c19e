"""Options of a build in which pip finds packages as it does on this machine.

`python -m docker.check.pip_options FOLDER` writes pip's configuration of this machine into FOLDER
and prints the options that mount it, and the files that it names, where they are here.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CONFIGURATION: Final = "/etc/pip.conf"


def read_configuration() -> dict[str, str]:
    """Return pip's options on this machine, from its files and the environment."""
    lines = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    pairs = (line.partition("=") for line in lines)
    return {name.rpartition(".")[2]: value.strip("'\"") for name, _, value in pairs}


def find_paths(value: str) -> Iterator[str]:
    """Yield the files and folders of this machine that an option names."""
    for word in value.replace("\\n", " ").split():
        path = word.removeprefix("file://")
        if path.startswith("/") and Path(path).exists():
            # An index of packages names files beside it.
            yield path if path == word else str(Path(path).parent)


def main(folder: Path) -> None:
    """Write the configuration and print the build's options."""
    options = read_configuration()
    file = folder / "pip.conf"
    lines = [f"{name} = {value}" for name, value in options.items()]
    file.write_text("\n".join(["[global]", *lines, ""]))
    paths = {path for value in options.values() for path in find_paths(value)}
    print(f"--volume {file}:{CONFIGURATION}:ro")
    for path in sorted(paths):
        print(f"--volume {path}:{path}:ro")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
