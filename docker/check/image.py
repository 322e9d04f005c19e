"""What an image says of itself: user, variables, commands."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Image:
    """An image's root file system, and the part of its configuration that a start needs."""

    root: Path
    user: str
    variables: list[str]
    folder: str
    command: list[str]
    health_check: list[str]
    stop_signal: str

    @classmethod
    def read(cls, root: Path, inspection: Path) -> Self:
        """Read an image that is mounted at `root`, and the output of `buildah inspect`."""
        config: dict[str, Any] = json.loads(inspection.read_text())["Docker"]["config"]
        return cls(
            root=root,
            user=config["User"],
            variables=config["Env"],
            folder=config["WorkingDir"],
            command=[*config["Entrypoint"], *(config["Cmd"] or ())],
            health_check=config["Healthcheck"]["Test"][1:],
            stop_signal=config["StopSignal"],
        )

    @property
    def group(self) -> str:
        """The number of the user's group."""
        lines = (self.root / "etc" / "passwd").read_text().splitlines()
        (group,) = [line.split(":")[3] for line in lines if line.split(":")[2] == self.user]
        return group
