"""The components for the Gateway API, of which no schemas are here: what they name exists."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import latest_version, validate

from server.api.affinity import AFFINITY_HEADER
from server.settings import Settings
from tests.deploy.kubernetes import K8S, render_kustomization

POOL, HASH = ("gateway", "inference-pool"), ("gateway", "affinity")
# tests/api/test_ops.py finds them on a running server.
ENGINE_METRICS = {"vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"}
CUSTOM = {
    "Gateway": "gateway.networking.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "InferencePool": "inference.networking.k8s.io/v1",
    "InferenceObjective": "inference.networking.x-k8s.io/v1alpha2",
    "BackendTrafficPolicy": "gateway.envoyproxy.io/v1alpha1",
}
each_way = pytest.mark.parametrize("components", [POOL, HASH], ids=lambda names: names[1])


def build(folder: Path, components: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the objects of an operator's overlay with these components."""
    k8s = os.path.relpath(K8S, folder)
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "llava",
        "resources": [f"{k8s}/overlays/cpu"],
        "components": [f"{k8s}/components/{name}" for name in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    return render_kustomization(folder)


def find(objects: list[dict[str, Any]], kind: str, name: str = "llava-server") -> dict[str, Any]:
    """Return the only object of a kind and name."""
    (found,) = [
        item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name)
    ]
    return found


def container(objects: list[dict[str, Any]], name: str = "llava-server") -> dict[str, Any]:
    """Return the only container of a Deployment."""
    (only,) = find(objects, "Deployment", name)["spec"]["template"]["spec"]["containers"]
    return dict(only)


def ports(objects: list[dict[str, Any]], name: str = "llava-server") -> dict[str, int]:
    """Return the ports of a Deployment's container by their names."""
    return {port["name"]: port["containerPort"] for port in container(objects, name)["ports"]}


def labels(objects: list[dict[str, Any]], name: str = "llava-server") -> dict[str, str]:
    """Return the labels of a Deployment's pods."""
    return dict(find(objects, "Deployment", name)["spec"]["template"]["metadata"]["labels"])


@each_way
def test_kinds_and_schemas(tmp_path: Path, components: tuple[str, ...]) -> None:
    for item in build(tmp_path, components):
        if item["kind"] in CUSTOM:
            assert item["apiVersion"] == CUSTOM[item["kind"]]
        else:
            validate(item, latest_version(), strict=True)


@each_way
def test_the_route_leads_from_the_gateway_to_the_pods(
    tmp_path: Path, components: tuple[str, ...]
) -> None:
    objects = build(tmp_path, components)
    route = find(objects, "HTTPRoute")["spec"]
    (listener,) = find(objects, "Gateway")["spec"]["listeners"]
    assert route["parentRefs"] == [{"name": "llava-server"}]
    assert route["hostnames"] == [listener["hostname"]]
    (rule,) = route["rules"]
    limit_s = Settings.model_fields["request_timeout_s"].default
    request_s, backend_s = (
        int(rule["timeouts"][name].removesuffix("s")) for name in ("request", "backendRequest")
    )
    assert request_s >= backend_s > limit_s
    (backend,) = rule["backendRefs"]
    if components == POOL:
        group, _, _ = CUSTOM["InferencePool"].partition("/")
        assert backend == {"group": group, "kind": "InferencePool", "name": "llava-server"}
    else:
        (port,) = find(objects, "Service")["spec"]["ports"]
        assert backend == {"name": "llava-server", "port": port["port"]}


def test_the_hash_is_of_our_header(tmp_path: Path) -> None:
    policy = find(build(tmp_path, HASH), "BackendTrafficPolicy")["spec"]
    (target,) = policy["targetRefs"]
    assert (target["kind"], target["name"]) == ("HTTPRoute", "llava-server")
    assert policy["loadBalancer"]["consistentHash"]["header"] == {"name": AFFINITY_HEADER}
    assert policy["retry"]["retryOn"] == {"triggers": ["connect-failure"]}


def test_the_pool_is_the_pods_and_asks_the_picker(tmp_path: Path) -> None:
    objects = build(tmp_path, POOL)
    pool = find(objects, "InferencePool")["spec"]
    assert pool["selector"] == {"matchLabels": labels(objects)}
    assert pool["targetPorts"] == [{"number": ports(objects)["http"]}]
    picker = pool["endpointPickerRef"]
    service = find(objects, "Service", picker["name"])["spec"]
    assert service["selector"] == labels(objects, picker["name"])
    (port,) = service["ports"]
    assert port["port"] == picker["port"]["number"] == ports(objects, picker["name"])["grpc"]
    assert port["targetPort"] == "grpc"
    assert find(objects, "InferenceObjective", "llava-server-batch")["spec"]["poolRef"] == {
        "name": "llava-server"
    }


def test_the_picker_reads_what_the_pods_tell(tmp_path: Path) -> None:
    objects = build(tmp_path, POOL)
    arguments = container(objects, "llava-server-epp")["args"]
    assert f"--model-server-metrics-port={ports(objects)['admin']}" in arguments
    assert "--pool-name=llava-server" in arguments
    named = {argument.partition("=")[2] for argument in arguments if "-metric=" in argument}
    assert named == {*ENGINE_METRICS, ""}  # none about LoRA adapters, which not every pod has
    policy = find(objects, "NetworkPolicy", "llava-server-epp")["spec"]
    assert policy["podSelector"] == {"matchLabels": labels(objects)}
    (rule,) = policy["ingress"]
    assert rule["from"] == [
        {"podSelector": {"matchLabels": labels(objects, "llava-server-epp")}},
    ]
    assert rule["ports"] == [{"port": "admin"}]


def test_the_picker_may_watch_its_pool(tmp_path: Path) -> None:
    objects = build(tmp_path, POOL)
    rules = find(objects, "Role", "llava-server-epp")["rules"]
    watched = {
        (group, what) for rule in rules for group in rule["apiGroups"] for what in rule["resources"]
    }
    for kind in ("InferencePool", "InferenceObjective"):
        assert (CUSTOM[kind].partition("/")[0], f"{kind.lower()}s") in watched
    assert ("", "pods") in watched
    binding = find(objects, "RoleBinding", "llava-server-epp")
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "llava-server-epp", "namespace": "llava"}
    ]


def test_the_pickers_plugins_are_those_of_its_profile(tmp_path: Path) -> None:
    (text,) = [
        item["data"]["plugins.yaml"]
        for item in build(tmp_path, POOL)
        if item["kind"] == "ConfigMap" and "plugins.yaml" in item["data"]
    ]
    configuration = yaml.safe_load(text)
    types = {plugin["type"] for plugin in configuration["plugins"]}
    (profile,) = configuration["schedulingProfiles"]
    assert {plugin["pluginRef"] for plugin in profile["plugins"]} == types
