"""Prometheus finds every replica, and each names itself."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.scale.admin_ports import MAX_REPLICAS
from tests.scale.replicas import Replicas

# Replicas start, and come back, on cores that all share.
pytestmark = pytest.mark.timeout(600)


def test_every_sample_names_its_replica(replicas: Replicas) -> None:
    for replica in replicas.wait():
        text = httpx.get(f"{replica.url}/metrics").text
        families = list(text_string_to_metric_families(text))
        assert {family.name.partition(":")[0] for family in families} >= {"llava", "vllm"}
        labels = {sample.labels["replica"] for family in families for sample in family.samples}
        assert labels == {replica.name}


def test_admin_ports_follow_one_another(replicas: Replicas) -> None:
    ports = {int(replica.url.rpartition(":")[2]) for replica in replicas.wait()}
    assert len(ports) == 2
    assert all(0 <= port - replicas.first_admin_port < MAX_REPLICAS for port in ports)


def test_the_admin_port_answers_probes(replicas: Replicas) -> None:
    for replica in replicas.wait():
        assert httpx.get(f"{replica.url}/ready").json() == {"status": "ready"}
