"""The files for Ray clusters build the application, with the variables that it needs."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.scale.ray_variables import CLUSTER_VARIABLES
from server.settings import Settings

pytest.importorskip("ray", reason="Ray is not installed")

FOLDER = Path(__file__).parents[2] / "deploy" / "ray"
SERVICE, MONITOR = yaml.safe_load_all((FOLDER / "rayservice.yaml").read_text())
CLUSTER = SERVICE["spec"]["rayClusterConfig"]
PODS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
CONFIGURATIONS = {
    "serve.yaml": yaml.safe_load((FOLDER / "serve.yaml").read_text()),
    "rayservice.yaml": yaml.safe_load(SERVICE["spec"]["serveConfigV2"]),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_ray_takes_the_configuration(name: str) -> None:
    from ray.serve.schema import ServeDeploySchema

    from server.scale.application import build

    schema = ServeDeploySchema.model_validate(CONFIGURATIONS[name])
    (application,) = schema.applications
    assert application.import_path == f"{build.__module__}:{build.__name__}"
    assert isinstance(application.args, dict)
    build(application.args)


@pytest.mark.parametrize("pod", PODS, ids=["head", "worker"])
def test_every_process_has_the_variables(pod: dict[str, Any]) -> None:
    (container,) = pod["template"]["spec"]["containers"]
    assert {each["name"]: each["value"] for each in container["env"]} == CLUSTER_VARIABLES


def test_a_shell_gets_the_variables() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "server.scale.ray_variables"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    words = shlex.split(printed)
    assert dict(word.split("=", 1) for word in words if word != "export") == CLUSTER_VARIABLES


def test_the_operator_and_the_image_have_one_ray() -> None:
    pins = (Path(__file__).parents[2] / "requirements" / "ray.txt").read_text().splitlines()
    assert f"ray=={CLUSTER['rayVersion']}" in pins


@pytest.mark.parametrize("pod", PODS, ids=["head", "worker"])
def test_probes_need_no_program_of_the_image(pod: dict[str, Any]) -> None:
    (container,) = pod["template"]["spec"]["containers"]
    assert set(container["livenessProbe"]) & {"httpGet", "exec"} == {"httpGet"}
    assert set(container["readinessProbe"]) & {"httpGet", "exec"} == {"httpGet"}


def test_pods_have_time_to_drain_and_prometheus_finds_them() -> None:
    from server.scale.application import limit_shutdown_s

    worker = CLUSTER["workerGroupSpecs"][0]
    spec = worker["template"]["spec"]
    drain = float(CLUSTER_VARIABLES["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
    assert spec["terminationGracePeriodSeconds"] > drain > limit_shutdown_s(Settings())
    ports = {port["name"]: port["containerPort"] for port in spec["containers"][0]["ports"]}
    annotations = worker["template"]["metadata"]["annotations"]
    arguments = CONFIGURATIONS["rayservice.yaml"]["applications"][0]["args"]
    assert ports["admin"] == arguments["admin_port"] == int(annotations["prometheus.io/port"])
    selected = MONITOR["spec"]["selector"]["matchLabels"]
    assert selected.items() <= worker["template"]["metadata"]["labels"].items()
    assert MONITOR["spec"]["podMetricsEndpoints"][0]["port"] == "admin"


def test_there_are_pods_for_a_rolling_update() -> None:
    from server.scale.options import SURGE_PERCENT

    arguments = CONFIGURATIONS["rayservice.yaml"]["applications"][0]["args"]
    surge = -(-arguments["max_replicas"] * SURGE_PERCENT // 100)
    assert CLUSTER["workerGroupSpecs"][0]["maxReplicas"] >= arguments["max_replicas"] + surge
