"""A JSON Lines file of measurements, from which an interrupted run resumes."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Measurement:
    """The figures of one workload against one system, in one round."""

    round: int
    system: str
    workload: str
    figures: dict[str, float]


class Journal:
    """Measurements in a JSON Lines file; its first line holds the run's options."""

    def __init__(self, path: Path, options: dict[str, Any]) -> None:
        """Open or create the file. Raises `SystemExit` if it has other options."""
        self._path = path
        self.measurements: list[Measurement] = []
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(options) + "\n", encoding="utf-8")
            return
        first, *rest = _read_complete_lines(path)
        if json.loads(first) != json.loads(json.dumps(options)):
            raise SystemExit(f"{path} is of a run with other options; give another --out")
        self.measurements = [Measurement(**json.loads(line)) for line in rest]

    def add(self, measurement: Measurement) -> None:
        """Append a measurement to the file."""
        self.measurements.append(measurement)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(measurement)) + "\n")

    def has(self, number: int, system: str, workload: str) -> bool:
        """Whether a round has this measurement."""
        return any(
            (each.round, each.system, each.workload) == (number, system, workload)
            for each in self.measurements
        )


def _read_complete_lines(path: Path) -> list[str]:
    """Read the lines; an incomplete last line is truncated."""
    text = path.read_text(encoding="utf-8")
    complete = text[: text.rfind("\n") + 1]
    if complete != text:
        path.write_text(complete, encoding="utf-8")
    if not complete:
        raise SystemExit(f"{path} is empty; remove it")
    return complete.splitlines()
