"""One replica and its load: the simulation compared with the arithmetic."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes

from benchmarks.fleet.arithmetic import compute_batch, compute_max_rate, compute_work_s
from benchmarks.fleet.charts import COLORS, draw_panels, set_log_scale
from benchmarks.fleet.conversation import Header
from benchmarks.fleet.figures import average_samples, measure
from benchmarks.fleet.part import Part, Record, Table
from benchmarks.fleet.routers import Policy
from benchmarks.fleet.simulation import Setup, Simulation
from benchmarks.fleet.traffic import constant

# Shares of the computed maximum.
SHARES: Final = (0.2, 0.4, 0.64, 0.8, 0.9, 0.95, 1.0, 1.2)
OVERLOAD: Final = 1.2
PERMITS: Final = (256, 192, 160, 128)
QUEUE_SHARE: Final = 0.375  # of the permits: server/api/admission
# Factor by which one replica runs longer, as it gives few figures a second.
LONGER: Final = 6


def simulate(base: Setup) -> Part:
    """Load one replica with single questions about new images."""
    setup = replace(
        base,
        replicas=1,
        policy=Policy.ROUND_ROBIN,
        header=Header.NONE,
        seconds=base.seconds * LONGER,
    ).change(turns_mean=1, image_share=1, zipf_exponent=0, images=1_000_000)
    records = [_compare(setup, share) for share in SHARES]
    tables = (
        Table("One replica, single questions about new images", records),
        Table("The same at 120 %, by permits", [_limit(setup, permits) for permits in PERMITS]),
    )
    return Part("capacity", tables, lambda path: _draw(path, records))


def _compare(setup: Setup, share: float) -> Record:
    """Compare a run with the formulas."""
    parameters = setup.parameters
    most = compute_max_rate(parameters)
    simulation = _run(setup, share)
    figures = measure(simulation)
    engine = simulation.cell.rotation[0].engine
    return {
        "load, % of computed maximum": share * 100,
        "offered/s": figures.offered,
        "completed/s": figures.completed,
        "429/s": figures.refused,
        "prefill, % of GPU time": engine.prefill_s / setup.seconds * 100,
        "computed": min(1.0, share) * most * compute_work_s(parameters) * 100,
        "batch": engine.sequence_s / engine.decode_s,
        "batch, computed": compute_batch(parameters, share * most),
        "KV cache, %": average_samples(simulation, "kv_usage") * 100,
        "TTFT p50, ms": figures.ttft_ms_p50,
        "TTFT p95, ms": figures.ttft_ms_p95,
    }


def _limit(setup: Setup, permits: int) -> Record:
    """Overload a replica with limited numbers of permits."""
    limited = setup.change(permits=permits, queue=int(permits * QUEUE_SHARE))
    figures = measure(_run(limited, OVERLOAD))
    return {
        "permits": permits,
        "waiting": limited.parameters.queue,
        "completed/s": figures.completed,
        "429/s": figures.refused,
        "TTFT p50, ms": figures.ttft_ms_p50,
        "TTFT p95, ms": figures.ttft_ms_p95,
    }


def _run(setup: Setup, share: float) -> Simulation:
    rate = share * compute_max_rate(setup.parameters)
    return Simulation(replace(setup, load=constant(rate))).run()


def _draw(path: Path, records: Sequence[Record]) -> None:
    def draw(axes: Sequence[Axes]) -> None:
        loads = [record["offered/s"] for record in records]
        for panel, (left, label) in zip(axes, PANELS, strict=True):
            for color, name in zip(COLORS, left, strict=False):
                panel.plot(
                    loads, [record[name] for record in records], "o-", color=color, label=name
                )
            panel.set(xlabel="offered, requests/s", ylabel=label)
            panel.legend(frameon=False, fontsize=8)
        set_log_scale(axes[1])

    draw_panels(path, "One replica: load, KV cache and time to the first token", 2, draw)


PANELS: Final = (
    (("KV cache, %", "prefill, % of GPU time"), "%"),
    (("TTFT p50, ms", "TTFT p95, ms"), "ms"),
)
