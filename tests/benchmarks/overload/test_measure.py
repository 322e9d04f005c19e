"""Saturation, its comparison with overload, and the probe of a server's health."""

import json
import threading
from collections.abc import Iterator
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.overload import measure
from benchmarks.overload.loads import LOADS, load_groups
from benchmarks.overload.measure import (
    LoadRunner,
    choose_saturating_clients,
    compare_with_saturation,
    summarise_health,
)
from benchmarks.overload.probe import HealthProbe
from benchmarks.systems import RunningServer
from benchmarks.timing import Timing
from tests.web import QuietHandler


class Healthy(QuietHandler):
    """Answers every request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        """Answer."""
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("content-length", "0")
        self.end_headers()


@pytest.fixture
def url() -> Iterator[str]:
    """Serve health checks."""
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("goodputs", "expected"),
    [
        ({8: 95.0, 16: 100.0, 32: 99.0, 64: 90.0}, 8),
        ({8: 94.9, 16: 100.0, 32: 99.0, 64: 90.0}, 16),
        ({8: 50.0, 16: 80.0, 32: 90.0, 64: 100.0}, 64),
        ({8: 0.0, 16: 0.0}, 8),
    ],
)
def test_the_fewest_clients_near_the_best_goodput(
    goodputs: dict[int, float], expected: int
) -> None:
    saturation = {clients: {"goodput_per_s": rate} for clients, rate in goodputs.items()}
    assert choose_saturating_clients(saturation) == expected


def test_overload_over_saturation() -> None:
    base = {"goodput_per_s": 100.0, "latency_ms_p99": 200.0}
    overload = {"goodput_per_s": 90.0, "latency_ms_p99": 300.0}
    assert compare_with_saturation(overload, base) == {"goodput_ratio": 0.9, "p99_ratio": 1.5}
    assert compare_with_saturation({"goodput_per_s": 0.0}, base) == {"goodput_ratio": 0}


def test_health_is_probed_until_the_end(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.overload.probe.INTERVAL_S", 0.001)
    enough = threading.Event()
    with HealthProbe(url) as probe:
        while len(probe.seconds) < 5:
            enough.wait(0.01)
    figures = summarise_health(probe)
    assert 0 < figures["health_ms_p99"] <= figures["health_ms_max"]
    assert figures["health_failures"] == 0


def test_a_server_that_is_gone_fails_its_health_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.overload.probe.INTERVAL_S", 0.001)
    enough = threading.Event()
    with HealthProbe("http://127.0.0.1:9") as probe:
        while probe.failures < 2:
            enough.wait(0.01)
    assert summarise_health(probe)["health_failures"] >= 2


def test_too_few_health_checks_have_no_percentiles() -> None:
    assert summarise_health(HealthProbe("http://127.0.0.1:9")) == {}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace the load generator; return the arguments of its runs."""
    seen: list[list[str]] = []

    def run_module(arguments: list[str]) -> Iterator[str]:
        seen.append(arguments)
        yield "begin"
        yield "end"
        figures = {"goodput_per_s": 50.0, "latency_ms_p99": 30.0}
        yield json.dumps(figures | {"polite_per_s": 20 if len(seen) == 1 else 10})

    monkeypatch.setattr(measure, "run_module", run_module)
    monkeypatch.setattr(measure, "measure_memory_mib", lambda _: 100.0)
    monkeypatch.setattr(measure, "SETTLE_S", 0)
    cpu: list[dict[str, float]] = [{"server": 1.0}, {"server": 3.0, "engine": 1.0}] * 2
    monkeypatch.setattr(measure, "measure_cpu_seconds", lambda _: cpu.pop(0))
    return seen


@pytest.fixture
def runner(url: str, tmp_path: Path) -> LoadRunner:
    """Return a runner against the server of health checks, at two seconds a window."""
    server = RunningServer(url, threading.get_native_id(), 1.0)
    return LoadRunner(server, Timing(window_s=2.0, warm_up_s=0.5), 1, tmp_path)


def option(arguments: list[Any], name: str) -> str:
    """Return the value of an option."""
    return str(arguments[arguments.index(name) + 1])


def test_overload_is_ten_times_saturation(runner: LoadRunner, runs: list[list[str]]) -> None:
    base = {"goodput_per_s": 60.0, "latency_ms_p99": 20.0}
    found = runner.measure_overload(LOADS[0], {8: {"goodput_per_s": 10.0}, 16: base})
    [arguments] = runs
    assert sum(each.clients for each in load_groups(arguments[2])) == found["clients"] == 160
    assert option(arguments, "--window-s") == "4.0"
    assert found["saturating_clients"] == 16
    assert found["saturation_goodput_per_s"] == 60
    assert found["goodput_ratio"] == pytest.approx(50 / 60)
    assert found["p99_ratio"] == 1.5
    assert found["before_mib"] == found["after_mib"] == 100
    assert (found["cores:server"], found["cores:engine"]) == (0.5, 0.25)


def test_saturation_is_measured_with_polite_clients(
    runner: LoadRunner, runs: list[list[str]]
) -> None:
    found = runner.measure_saturation(LOADS[0], 32)
    [group] = load_groups(runs[0][2])
    assert (group.clients, group.patience) == (32, "polite")
    assert found["goodput_per_s"] == 50


def test_a_polite_key_has_a_share_of_its_rate_alone(
    runner: LoadRunner, runs: list[list[str]]
) -> None:
    found = runner.measure_fairness()
    assert [len(load_groups(each[2])) for each in runs] == [1, 2]
    assert found["alone_per_s"] == 20
    assert found["beside_per_s"] == 10
    assert found["polite_share"] == 0.5
    assert option(runs[0], "--seed") != option(runs[1], "--seed")
