"""Measures one server: saturation, overload, and a polite key next to a flooding one."""

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.measure import BEGIN, END, run_module
from benchmarks.overload.loads import (
    OVERLOAD,
    Group,
    Load,
    build_fairness_groups,
    build_overload_groups,
    build_saturating_groups,
    dump_groups,
)
from benchmarks.overload.probe import HealthProbe
from benchmarks.systems import MODEL_NAME, RunningServer
from benchmarks.timing import Timing
from benchmarks.usage import (
    PeakMemory,
    measure_cpu_seconds,
    measure_memory_mib,
    measure_wait_seconds,
)

CLIENTS: Final = (8, 16, 32, 64)
SATURATED: Final = 0.95  # of the best goodput
# Overload runs longer: its first seconds fill the queues and spread the polite clients.
OVERLOAD_LENGTH: Final = 2.0
SETTLE_S: Final = 3.0
MS: Final = 1000
API_KEYS: Final = ("polite-key", "flooding-key")

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class LoadRunner:
    """Runs loads against one server."""

    server: RunningServer
    timing: Timing
    seed: int
    folder: Path  # of large pictures

    def measure_saturation(self, load: Load, clients: int) -> Figures:
        """Measure a number of clients of which the servers refuse none, or few."""
        groups = build_saturating_groups(load, clients)
        return self._run(groups, f"{load.name} {clients}", load.length)

    def measure_overload(self, load: Load, saturation: Mapping[int, Figures]) -> Figures:
        """Measure ten times the clients that saturate the server, relative to its saturation."""
        clients = choose_saturating_clients(saturation)
        groups = build_overload_groups(load, clients)
        before_mib = measure_memory_mib(self.server.pid)
        figures = self._run(groups, f"{load.name} overload", load.length * OVERLOAD_LENGTH)
        time.sleep(SETTLE_S)
        memory = {
            "before_mib": before_mib,
            "after_mib": measure_memory_mib(self.server.pid),
        }
        base = saturation[clients]
        return (
            figures
            | memory
            | {"saturating_clients": clients, "clients": clients * OVERLOAD}
            | {f"saturation_{name}": value for name, value in base.items()}
            | compare_with_saturation(figures, base)
        )

    def measure_fairness(self) -> Figures:
        """Measure a polite key's rate, alone and next to a flooding key."""
        alone = self._run(build_fairness_groups(API_KEYS, with_flood=False), "polite alone", 1.0)
        beside = self._run(
            build_fairness_groups(API_KEYS, with_flood=True), "polite flooded", OVERLOAD_LENGTH
        )
        rates = {"alone_per_s": alone["polite_per_s"], "beside_per_s": beside["polite_per_s"]}
        share = rates["beside_per_s"] / max(rates["alone_per_s"], 1e-9)
        return beside | rates | {"polite_share": share}

    def _run(self, groups: Sequence[Group], name: str, length: float) -> Figures:
        window_s = self.timing.window_s * length
        warm_up_s = self.timing.warm_up_s * length
        # Each load of a round has other images.
        seed = self.seed * 1000 + sum(name.encode()) % 1000
        arguments = [
            *("benchmarks.overload.load_generator", self.server.chat_url, dump_groups(groups)),
            *("--model", MODEL_NAME, "--window-s", str(window_s), "--warm-up-s", str(warm_up_s)),
            *("--seed", str(seed), "--folder", str(self.folder)),
        ]
        figures: Figures = {}
        cpu: dict[str, dict[str, float]] = {}
        wait_s: dict[str, float] = {}
        with PeakMemory(self.server.pid) as memory, HealthProbe(self.server.url) as probe:
            for line in run_module(arguments):
                if line in (BEGIN, END):
                    cpu[line] = measure_cpu_seconds(self.server.pid)
                    wait_s[line] = measure_wait_seconds(self.server.pid)
                else:
                    figures = json.loads(line)
        spent = {
            f"cores:{role}": max(0.0, cpu[END][role] - cpu[BEGIN].get(role, 0.0)) / window_s
            for role in cpu[END]
        }
        # Share of the window; large if other processes take the cores.
        starved = {"server_starved": (wait_s[END] - wait_s[BEGIN]) / window_s}
        return figures | spent | starved | {"peak_mib": memory.mib} | summarise_health(probe)


def choose_saturating_clients(saturation: Mapping[int, Mapping[str, float]]) -> int:
    """Return the least number of clients that reaches 95 % of the best goodput."""
    best = max(figures["goodput_per_s"] for figures in saturation.values())
    return min(
        clients
        for clients, figures in saturation.items()
        if figures["goodput_per_s"] >= SATURATED * best
    )


def compare_with_saturation(figures: Mapping[str, float], base: Mapping[str, float]) -> Figures:
    """Return the ratios of overload to saturation that the targets bound."""
    ratios: Figures = {}
    if base["goodput_per_s"]:
        ratios["goodput_ratio"] = figures["goodput_per_s"] / base["goodput_per_s"]
    if "latency_ms_p99" in figures and "latency_ms_p99" in base:
        ratios["p99_ratio"] = figures["latency_ms_p99"] / base["latency_ms_p99"]
    return ratios


def summarise_health(probe: HealthProbe) -> Figures:
    """Return percentiles of the health checks' latency."""
    seconds = probe.seconds
    if len(seconds) < 2:
        return {}
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        "health_ms_p99": cuts[98] * MS,
        "health_ms_max": max(seconds) * MS,
        "health_failures": probe.failures,
    }
