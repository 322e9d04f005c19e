"""The report of a soak: Markdown, JSON, and a chart."""

import json
from pathlib import Path

from benchmarks.soak.report import write_soak_report
from benchmarks.soak.timeline import OK, OVERLOADED, Fault, Resources, Timeline


def build_timeline() -> Timeline:
    """Return a timeline with a little of everything."""
    timeline = Timeline(60)
    for number in range(50):
        timeline.record("text", OK, 0.01 * number)
    timeline.record("new image", OVERLOADED, 0.1)
    timeline.record("new image", "status 500: oh", 0.1)
    timeline.faults.append(Fault("engine stopped", 20, 20, recovery_s=31.4))
    timeline.faults.append(Fault("image host down", 40, 45))
    timeline.resources += [Resources(float(t), 900, 3000, 80, 40, 6) for t in range(0, 60, 5)]
    return timeline


def test_all_of_it_is_written(tmp_path: Path) -> None:
    markdown = write_soak_report(tmp_path, build_timeline(), ["1 x oh"], {"cores": "2"})
    assert "Verdict: FAILED.\n\n- 1 x oh\n" in markdown
    assert "| engine stopped | 20 | 31.4 |" in " ".join(markdown.split(" "))
    assert "| image host down | 40 | - |" in markdown
    assert (tmp_path / "soak.md").read_text() == markdown
    results = json.loads((tmp_path / "soak.json").read_text())
    assert not results["passed"]
    assert results["failures"] == {"new image: status 500: oh": 1}
    assert results["windows"][0]["latencies"]["text"]["ms_p50"] > 0
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")


def test_a_soak_without_faults_passes(tmp_path: Path) -> None:
    assert "Verdict: passed." in write_soak_report(tmp_path, Timeline(60), [], {})
