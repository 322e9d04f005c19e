"""The report: Markdown and JSON with all tables, and a chart for each scenario."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asking.files import write_atomically
from benchmarks.fleet.part import Part
from benchmarks.report import render_table


def write_fleet_report(folder: Path, parts: Sequence[Part], conditions: Mapping[str, Any]) -> str:
    """Write `fleet.md`, `fleet.json` and `fleet-<scenario>.png`. Return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown = render_fleet(parts)
    write_atomically(folder / "fleet.md", [markdown])
    tables = {part.name: [asdict(table) for table in part.tables] for part in parts}
    text = json.dumps({"conditions": dict(conditions), "tables": tables}, indent=2)
    write_atomically(folder / "fleet.json", [text, "\n"])
    for part in parts:
        if part.draw is not None:
            part.draw(folder / f"fleet-{part.name}.png")
    return markdown


def render_fleet(parts: Sequence[Part]) -> str:
    """Render all tables."""
    return "\n".join(
        f"{text.title}:\n\n{render_table(text)}"
        for part in parts
        for text in (table.to_text() for table in part.tables)
    )
