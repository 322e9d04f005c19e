"""The manifests fit the server, the image and each other."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import yaml
from kubernetes_validate import latest_version, validate

from server.images.fetch.address_policy import (
    IPV4_IN_LAST_32_BITS,
    METADATA_ADDRESSES,
    RESERVED_IPV4,
    RESERVED_IPV6,
    SIX_TO_FOUR,
    Address,
)
from server.telemetry.metrics import Metrics
from tests.deploy.kubernetes import K8S, OVERLAYS, container, find, render
from tests.deploy.settings import VARIABLES, stop_s
from tests.docker.dockerfile import DOCKERFILES, read_instruction

pytestmark = pytest.mark.parametrize("overlay", OVERLAYS)


def pod(overlay: str) -> dict[str, Any]:
    """Return the pods' specification."""
    return dict(find(overlay, "Deployment")["spec"]["template"]["spec"])


def port_number(overlay: str, name: str) -> int:
    """Return a named port of the container."""
    (number,) = [
        port["containerPort"] for port in container(overlay)["ports"] if port["name"] == name
    ]
    return int(number)


def test_objects_follow_the_schemas(overlay: str) -> None:
    """All but those of Prometheus' operator, which brings their schemas."""
    for item in render(overlay):
        if not item["apiVersion"].startswith("monitoring.coreos.com/"):
            validate(item, latest_version(), strict=True)


def test_variables_are_settings(overlay: str) -> None:
    assert set(find(overlay, "ConfigMap")["data"]) <= VARIABLES
    assert find(overlay, "ConfigMap")["data"]["LLAVA_ADMIN_PORT"] == str(
        port_number(overlay, "admin")
    )


def test_no_option_wins_over_a_variable(overlay: str) -> None:
    assert not {"args", "command"} & set(container(overlay))


def test_services_set_no_variables(overlay: str) -> None:
    """For llava-server that would be LLAVA_SERVER_PORT, which is no setting."""
    assert pod(overlay)["enableServiceLinks"] is False


def test_the_grace_period_is_longer_than_the_drain(overlay: str) -> None:
    grace_s = pod(overlay)["terminationGracePeriodSeconds"]
    pre_stop_s = container(overlay)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pre_stop_s >= 5
    assert grace_s > pre_stop_s + stop_s(find(overlay, "ConfigMap")["data"])


def test_probes_ask_for_what_the_server_answers(overlay: str) -> None:
    names = {"livenessProbe": "/health", "readinessProbe": "/ready", "startupProbe": "/startup"}
    for name, path in names.items():
        request = container(overlay)[name]["httpGet"]
        assert request["path"] == path
        # The other port refuses connections when it has its fill of them.
        assert request["port"] == "admin"


def test_the_user_is_the_images(overlay: str) -> None:
    for dockerfile in DOCKERFILES:
        assert str(pod(overlay)["securityContext"]["runAsUser"]) == read_instruction(
            dockerfile, "USER"
        )


def test_pods_are_restricted(overlay: str) -> None:
    """As the pod security standard `restricted` asks, and with a read-only root file system."""
    assert pod(overlay)["securityContext"]["runAsNonRoot"]
    assert pod(overlay)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(overlay)["automountServiceAccountToken"] is False
    assert container(overlay)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_what_is_written_to_is_mounted(overlay: str) -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in container(overlay)["volumeMounts"]}
    assert {"/cache", "/tmp", "/dev/shm"} <= set(mounts.values())  # noqa: S108
    assert set(mounts) == {volume["name"] for volume in pod(overlay)["volumes"]}
    (shm,) = [volume for volume in pod(overlay)["volumes"] if volume["name"] == "shm"]
    assert shm["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}


def test_selectors_find_the_pods(overlay: str) -> None:
    labels = find(overlay, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert find(overlay, "Service")["spec"]["selector"] == labels
    assert find(overlay, "NetworkPolicy")["spec"]["podSelector"] == {"matchLabels": labels}
    (spread,) = pod(overlay)["topologySpreadConstraints"]
    assert spread["labelSelector"] == {"matchLabels": labels}
    for item in render(overlay):
        if item["kind"] in ("Deployment", "PodDisruptionBudget", "PodMonitor"):
            assert item["spec"]["selector"] == {"matchLabels": labels}


def test_ports_are_named_as_the_pods_name_them(overlay: str) -> None:
    names = {port["targetPort"] for port in find(overlay, "Service")["spec"]["ports"]}
    for rule in find(overlay, "NetworkPolicy")["spec"]["ingress"]:
        names |= {port["port"] for port in rule["ports"]}
    for item in render(overlay):
        if item["kind"] == "PodMonitor":
            names |= {endpoint["port"] for endpoint in item["spec"]["podMetricsEndpoints"]}
    assert names <= {port["name"] for port in container(overlay)["ports"]}


def test_no_private_address_is_reached(overlay: str) -> None:
    (web,) = [rule for rule in egress(overlay) if {"port": 443} in rule["ports"]]
    addresses = {network[0] for network in (*RESERVED_IPV4, *RESERVED_IPV6, *IPV4_IN_LAST_32_BITS)}
    for address in addresses | METADATA_ADDRESSES | {SIX_TO_FOUR[1]}:
        assert not is_reached(address, web), address
    assert is_reached(ip_address("1.1.1.1"), web)
    assert is_reached(ip_address("2606:4700:4700::1111"), web)


def egress(overlay: str) -> list[dict[str, Any]]:
    """Return the rules of what the pods may reach."""
    return list(find(overlay, "NetworkPolicy")["spec"]["egress"])


def is_reached(address: Address, rule: dict[str, Any]) -> bool:
    """Whether a rule lets the pods reach an address."""
    return any(
        address in ip_network(block["cidr"])
        and not any(address in ip_network(network) for network in block.get("except", ()))
        for block in (to["ipBlock"] for to in rule["to"] if "ipBlock" in to)
    )


def test_the_nodes_own_cache_of_names_is_reached(overlay: str) -> None:
    (names,) = [
        rule for rule in egress(overlay) if {"port": 53, "protocol": "UDP"} in rule["ports"]
    ]
    assert is_reached(ip_address("169.254.20.10"), names)


def test_the_autoscaler_asks_for_a_metric_that_there_is(overlay: str) -> None:
    (rule,) = yaml.safe_load((K8S / "components/autoscaling/adapter.yaml").read_text())["rules"][
        "custom"
    ]
    names = {family.name for family in Metrics().registry.collect()}
    assert rule["seriesQuery"].split('"')[1] in names
    for item in render(overlay):
        if item["kind"] == "HorizontalPodAutoscaler":
            (metric,) = item["spec"]["metrics"]
            assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
            assert "replicas" not in find(overlay, "Deployment")["spec"]
