"""docs/clients.md names the clients that are tested, in the versions that are pinned."""

import json
import re

from tests.clients.running import ROOT

DOCS = (ROOT / "docs" / "clients.md").read_text()
LOCKS = ROOT / "tests" / "clients"


def pins() -> dict[tuple[str, str], str]:
    """Return the pinned version of each Python and Node package that could be in the table."""
    lines = (LOCKS / "python" / "requirements.txt").read_text().splitlines()
    python = dict(line.split("==") for line in lines if not line.startswith("#"))
    node = json.loads((LOCKS / "node" / "package.json").read_text())["dependencies"]
    return {("Python", name): version for name, version in python.items()} | {
        ("Node", name): version for name, version in node.items()
    }


def test_versions_are_those_that_are_pinned() -> None:
    rows = re.findall(r"^\| `([^`]+)`(?: \((\w+)\))? \| ([\d.]+) \|", DOCS, re.M)
    assert len(rows) == 12
    for name, language, version in rows:
        languages = [language] if language else ["Python", "Node"]
        assert version in [pins().get((language, name)) for language in languages]


def test_locks_name_no_registry() -> None:
    node = json.loads((LOCKS / "node" / "package-lock.json").read_text())
    assert not [name for name, package in node["packages"].items() if "resolved" in package]
    pinned = (LOCKS / "python" / "requirements.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!]+|# .*", line) for line in pinned)
