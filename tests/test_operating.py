"""The operator's guide names what there is: error codes, metrics, groups of settings."""

import re
from pathlib import Path

from server.settings import Settings
from server.telemetry.metrics import Metrics
from tests.test_docs import first_column

GUIDE = (Path(__file__).parent.parent / "docs" / "operating.md").read_text()


def first_cells(title: str) -> list[str]:
    """Return the first cells of the first table below a heading."""
    section = GUIDE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = section.split("\n|---")[1].split("\n\n")[0].splitlines()[1:]
    return [row.split("|")[1].strip() for row in rows]


def test_every_error_code_has_an_action() -> None:
    codes = re.findall(r"`([^`]+)`", " ".join(first_cells("Errors")))
    assert sorted(codes) == sorted(first_column("Errors"))


def test_metrics() -> None:
    families = {family.name for family in Metrics().registry.collect()}
    named = {name.removesuffix("_total") for name in re.findall(r"`(llava:\w+)`", GUIDE)}
    assert named <= families


def test_settings() -> None:
    groups = [group.__module__.rsplit(".", 1)[-1] for group in reversed(Settings.__bases__)]
    assert first_cells("Settings") == groups
    options = set(re.findall(r"`--(\w[\w-]*)", GUIDE))
    assert {option.replace("-", "_") for option in options - OTHERS} <= set(Settings.model_fields)


# Docker's, and what is no setting.
OTHERS = {"shm-size", "check"}
