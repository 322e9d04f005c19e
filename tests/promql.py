"""Reads PromQL as far as tests need: which metrics an expression names, with which labels."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DASHBOARD = ROOT / "deploy" / "grafana" / "llava-server.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
SELECTOR = re.compile(r"\b((?:llava:|vllm:|process_)\w+|up\b)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
# Prometheus adds these, or `histogram_quantile` takes them.
OUTER_LABELS = frozenset({"job", "instance", "le"})


def read_metrics(expression: str) -> set[str]:
    """Return the names of the metrics in an expression."""
    return {found[1] for found in SELECTOR.finditer(expression)}


def read_labels(expression: str) -> dict[str, set[str]]:
    """Return the labels that an expression needs of each metric; grouping needs them of all."""
    groups = {
        name.strip() for found in GROUPING.finditer(expression) for name in found[1].split(",")
    }
    needed: dict[str, set[str]] = {}
    for found in SELECTOR.finditer(expression):
        labels = set(MATCHER.findall(found[2] or "")) | groups
        needed.setdefault(found[1], set()).update(labels - OUTER_LABELS)
    return needed


def read_dashboard() -> dict[str, Any]:
    """Return the Grafana dashboard."""
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return dashboard


def read_rules() -> list[dict[str, Any]]:
    """Return the alert rules."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def list_expressions() -> Iterator[str]:
    """Yield all expressions of dashboard and alerts."""
    dashboard = read_dashboard()
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (each["expr"] for each in dashboard["annotations"]["list"] if "expr" in each)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["definition"]
    yield from (rule["expr"] for rule in read_rules())


def run_promtool(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run Prometheus' own checker; skip the test where there is none."""
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool: make promtool")
    return subprocess.run(
        ["promtool", *arguments], input=text, capture_output=True, text=True, timeout=60
    )
