"""Affinity against least requests: cache hits, times to the first token, throughput."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes

from benchmarks.fleet.charts import COLORS, draw_panels, set_log_scale
from benchmarks.fleet.conversation import Header
from benchmarks.fleet.figures import average_samples, measure
from benchmarks.fleet.part import Part, Record, Table, build_record
from benchmarks.fleet.routers import Policy
from benchmarks.fleet.simulation import Setup, Simulation
from benchmarks.fleet.traffic import constant

RATES: Final = (8.0, 12.0, 16.0, 20.0)  # requests per second for each replica
OWN_IMAGES_RATE: Final = 12.0
WAYS: Final = {
    "least requests": (Policy.LEAST_REQUESTS, Header.NONE),
    "no header: a random value": (Policy.BOUNDED_HASH, Header.RANDOM),
    "header: the server's, echoed": (Policy.BOUNDED_HASH, Header.ECHOED),
    "header: one for each conversation": (Policy.BOUNDED_HASH, Header.OWN),
    "header: one for each image": (Policy.BOUNDED_HASH, Header.IMAGE),
}
WAY: Final = "routing"
PANELS: Final = ("image hits, %", "prefix hits, %", "TTFT p95, ms", "completed/s")


def simulate(base: Setup) -> Part:
    """Compare routing policies over loads, and with an image of its own for each conversation."""
    popular = [_run(base, way, rate) for rate in RATES for way in WAYS]
    own_images = base.change(zipf_exponent=0, images=10_000_000)
    own = [_run(own_images, way, OWN_IMAGES_RATE) for way in WAYS]
    tables = [
        Table("Images by Zipf's law; rates per replica", popular),
        Table("Each conversation has an image of its own", own),
    ]
    return Part("affinity", tables, lambda path: _draw(path, popular))


def _run(base: Setup, way: str, rate: float) -> Record:
    policy, header = WAYS[way]
    load = constant(rate * base.replicas)
    simulation = Simulation(replace(base, policy=policy, header=header, load=load)).run()
    return {
        WAY: way,
        **build_record(measure(simulation), base.replicas),
        "KV cache, %": average_samples(simulation, "kv_usage") * 100,
    }


def _draw(path: Path, records: Sequence[Record]) -> None:
    def draw(axes: Sequence[Axes]) -> None:
        for panel, name in zip(axes, PANELS, strict=True):
            for color, way in zip(COLORS, WAYS, strict=False):
                values = [record[name] for record in records if record[WAY] == way]
                panel.plot(RATES, values, "o-", color=color, label=way)
            panel.set(xlabel="load, requests/s per replica", ylabel=name)
        set_log_scale(axes[2])

    draw_panels(path, "Affinity against least requests", len(PANELS), draw)
