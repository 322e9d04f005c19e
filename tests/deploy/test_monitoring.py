"""The Grafana dashboard and the alerts, without a server; tests/api has the live metrics."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from server.telemetry.metrics import Metrics
from tests.deploy.balancing import CONFIGURATION
from tests.promql import (
    ALERTS,
    ROOT,
    list_expressions,
    read_dashboard,
    read_labels,
    read_metrics,
    read_rules,
    run_promtool,
)

OBSERVABILITY = (ROOT / "docs" / "observability.md").read_text()
PROMETHEUS_RULE = ROOT / "deploy" / "k8s" / "components" / "monitoring" / "prometheusrule.yaml"
ALERTMANAGER = ROOT / "deploy" / "prometheus" / "alertmanager.yaml"
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"


def test_metrics_and_labels_of_an_expression() -> None:
    expression = (
        'sum by (key, le) (rate(llava:a_total{instance=~"$x",outcome!="ok"}[5m])) / vllm:b_perc'
    )
    assert read_metrics(expression) == {"llava:a_total", "vllm:b_perc"}
    assert read_labels(expression) == {"llava:a_total": {"key", "outcome"}, "vllm:b_perc": {"key"}}


def test_rules_are_valid() -> None:
    run = run_promtool("check", "rules", str(ALERTS))
    assert run.returncode == 0, run.stdout + run.stderr


def test_prometheus_finds_the_servers_of_one_host() -> None:
    file = ALERTS.with_name("prometheus.yaml")
    run = run_promtool("check", "config", str(file))
    assert run.returncode == 0, run.stdout + run.stderr
    (job,) = yaml.safe_load(file.read_text())["scrape_configs"]
    (static,) = job["static_configs"]
    checked = re.findall(r"^ +server .* check port (\d+)", CONFIGURATION.read_text(), re.M)
    assert static["targets"] == [f"127.0.0.1:{port}" for port in checked]


def test_alerts_fire_when_they_should() -> None:
    run = run_promtool("test", "rules", str(Path(__file__).parent / "alerts.test.yaml"))
    assert run.returncode == 0, run.stdout + run.stderr


def test_expressions_of_the_dashboard_are_valid(tmp_path: Path) -> None:
    queries = [each for each in list_expressions() if not each.startswith("label_values")]
    rules = [
        {"record": f"test:{number}", "expr": re.sub(r"\$__(rate_)?interval", "5m", query)}
        for number, query in enumerate(queries)
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run = run_promtool("check", "rules", str(file))
    assert run.returncode == 0, run.stdout + run.stderr


def test_our_metrics_are_clean_but_for_the_colons_of_our_prefix() -> None:
    run = run_promtool("check", "metrics", text=Metrics().exposition().decode())
    faults = [line for line in run.stderr.splitlines() if "should not contain ':'" not in line]
    assert faults == []


@pytest.mark.parametrize("rule", read_rules(), ids=lambda rule: rule["alert"])
def test_each_alert_says_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/observability.md"
    assert anchor == str(rule["alert"]).lower()
    assert f"\n### {rule['alert']}\n" in OBSERVABILITY


def test_the_operators_rules_are_the_same(tmp_path: Path) -> None:
    rule = yaml.safe_load(PROMETHEUS_RULE.read_text())
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text()), "run scripts/prometheus_rule.sh"
    (tmp_path / "scripts").mkdir()
    for file in (ALERTS, PROMETHEUS_RULE):
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True)
        shutil.copy(file, copy)
    script = shutil.copy(ROOT / "scripts" / "prometheus_rule.sh", tmp_path / "scripts")
    subprocess.run([script], check=True)
    written = (tmp_path / PROMETHEUS_RULE.relative_to(ROOT)).read_text()
    assert written == PROMETHEUS_RULE.read_text()


def test_alertmanager_sends_each_severity_somewhere() -> None:
    config = yaml.safe_load(ALERTMANAGER.read_text())
    receivers = {receiver["name"] for receiver in config["receivers"]}
    (page,) = config["route"]["routes"]
    assert page["matchers"] == ['severity="page"']
    assert {page["receiver"], config["route"]["receiver"]} == receivers
    named = set(re.findall(r"Llava\w+", ALERTMANAGER.read_text()))
    assert named <= {rule["alert"] for rule in read_rules()}
    # Alerts of a group have one runbook.
    assert "alertname" in config["route"]["group_by"]
    links = re.findall(r"https://\S+/blob/main/\S* *\S*", ALERTMANAGER.read_text())
    assert len(links) == len(receivers)
    assert all(".CommonAnnotations.runbook" in link for link in links)


@pytest.mark.skipif(shutil.which("amtool") is None, reason="no amtool found")
def test_alertmanager_accepts_it() -> None:
    run = subprocess.run(
        ["amtool", "check-config", str(ALERTMANAGER)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_guide_knows_no_other_alerts() -> None:
    assert re.findall(r"^### (Llava\w+)$", OBSERVABILITY, re.M) == [
        rule["alert"] for rule in read_rules()
    ]


def test_each_panel_is_described_and_has_its_place() -> None:
    dashboard = read_dashboard()
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert panel["type"] == "row" or panel["description"].endswith("."), panel["title"]
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


def test_every_query_follows_the_variables() -> None:
    for panel in read_dashboard()["panels"]:
        for target in panel.get("targets", ()):
            assert 'instance=~"$instance"' in target["expr"], panel["title"]
            assert target["datasource"]["uid"] == "${datasource}"


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    datasources = yaml.safe_load((PROVISIONING / "datasources/llava-server.yaml").read_text())
    dashboards = yaml.safe_load((PROVISIONING / "dashboards/llava-server.yaml").read_text())
    assert datasources["datasources"][0]["type"] == "prometheus"
    assert dashboards["providers"][0]["options"]["path"] == "/var/lib/grafana/dashboards"
