"""Hot images: plain consistent hashing against a bounded load."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes

from benchmarks.fleet.charts import COLORS, draw_panels, set_log_scale
from benchmarks.fleet.conversation import Header
from benchmarks.fleet.figures import Figures, measure
from benchmarks.fleet.part import Part, Record, Table, build_record
from benchmarks.fleet.routers import Policy
from benchmarks.fleet.samples import Sample
from benchmarks.fleet.simulation import Setup, Simulation
from benchmarks.fleet.traffic import constant

RATE: Final = 12.0  # requests per second for each replica
ZIPF: Final = 1.1
HOT_SHARE: Final = 0.2


def simulate(base: Setup) -> Part:
    """Let a fifth of the conversations with an image be about one of them."""
    setup = replace(base, header=Header.IMAGE, load=constant(RATE * base.replicas)).change(
        zipf_exponent=ZIPF, hot_share=HOT_SHARE
    )
    runs = {policy: Simulation(replace(setup, policy=policy)).run() for policy in Policy}
    figures = {policy: measure(run) for policy, run in runs.items()}
    records = [_build_record(policy, figures[policy], runs[policy]) for policy in Policy]
    return Part(
        "hot-images",
        [Table("One image has 20 % of the conversations, the others Zipf 1.1", records)],
        lambda path: _draw(path, {policy: run.samples for policy, run in runs.items()}, records),
    )


def _build_record(policy: Policy, figures: Figures, run: Simulation) -> Record:
    return {
        "policy": str(policy),
        **build_record(figures, run.setup.replicas),
        "busiest over average": max(map(compute_imbalance, _drop_warm_up(run))),
    }


def compute_imbalance(sample: Sample) -> float:
    """Return the requests in flight at the busiest replica over the average."""
    return sample.busiest / sample.in_flight if sample.in_flight else 1.0


def _drop_warm_up(run: Simulation) -> list[Sample]:
    return [each for each in run.samples if each.time_s >= run.setup.warm_up_s]


def _draw(path: Path, samples: dict[Policy, list[Sample]], records: Sequence[Record]) -> None:
    def draw(axes: Sequence[Axes]) -> None:
        busiest, times = axes
        for color, record, (policy, taken) in zip(COLORS, records, samples.items(), strict=False):
            x = [sample.time_s for sample in taken]
            busiest.plot(x, [sample.busiest for sample in taken], color=color, label=policy)
            times.plot(record["prefix hits, %"], record["TTFT p95, ms"], "o", color=color)
        busiest.set(xlabel="time, s", ylabel="requests at the busiest replica")
        times.set(xlabel="prefix hits, %", ylabel="TTFT p95, ms")
        set_log_scale(times)

    draw_panels(path, "One hot image: policies", 2, draw)
