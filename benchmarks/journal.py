"""What has been measured, one line each, from which a run that was cut off goes on."""

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
    """Measurements in a file of JSON lines, below a line that says how they were taken."""

    def __init__(self, path: Path, options: dict[str, Any]) -> None:
        """Open or begin the file. Raises `SystemExit` where other options began it."""
        self._path = path
        self.measurements: list[Measurement] = []
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(options) + "\n", encoding="utf-8")
            return
        first, *rest = _whole_lines(path)
        if json.loads(first) != json.loads(json.dumps(options)):
            raise SystemExit(f"{path} is of a run with other options; give another --out")
        self.measurements = [Measurement(**json.loads(line)) for line in rest]

    def add(self, measurement: Measurement) -> None:
        """Append a measurement, at once."""
        self.measurements.append(measurement)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(measurement)) + "\n")

    def has(self, number: int, system: str, workload: str) -> bool:
        """Tell whether a round has measured this already."""
        return any(
            (each.round, each.system, each.workload) == (number, system, workload)
            for each in self.measurements
        )


def _whole_lines(path: Path) -> list[str]:
    """Return the lines, cutting off what a kill left of a last one."""
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    if not whole:
        raise SystemExit(f"{path} is empty; remove it")
    return whole.splitlines()
