"""The page of faults names real tests, error codes and settings, and leaves no test out."""

import re
from pathlib import Path

from server import errors
from server.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text()
CODES = re.findall(r"(?:400|408|503) `(\w+)`", PAGE)


def list_codes(kind: type[errors.ApiError]) -> set[str]:
    """Return the codes of an error class and of all below it."""
    return {kind.code}.union(*map(list_codes, kind.__subclasses__()))


def test_codes_are_errors() -> None:
    assert CODES
    assert set(CODES) <= list_codes(errors.ApiError)


def test_options_are_settings() -> None:
    options = {"--shm-size"} | {f"--{name.replace('_', '-')}" for name in Settings.model_fields}
    assert set(re.findall(r"`(--[\w-]+)`", PAGE)) - {"--seed"} <= options


def test_every_row_names_its_test() -> None:
    tables = [table for table in PAGE.split("\n\n") if re.match(r"\| .* test \|\n", table)]
    rows = [row for table in tables for row in table.splitlines()[2:]]
    assert rows
    for row in rows:
        name = row.split("|")[-2].strip().strip("`")
        assert name, row
        folders = [ROOT, *(ROOT / "tests" / folder for folder in ("faults", "api"))]
        assert any((folder / name).exists() for folder in folders), row


def test_tests_exist_and_are_listed() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", PAGE))
    here = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    assert here - {Path(__file__).name} <= named
    assert named <= here | {path.name for path in (ROOT / "tests" / "api").glob("test_*.py")}
