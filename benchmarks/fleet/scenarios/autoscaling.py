"""Autoscaling: the cost of a load step beyond the capacity until new replicas are ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes

from benchmarks.fleet.arithmetic import compute_max_rate
from benchmarks.fleet.autoscaler import Autoscaler
from benchmarks.fleet.charts import COLORS, draw_panels, mark, set_log_scale, set_time_axis
from benchmarks.fleet.conversation import Header
from benchmarks.fleet.figures import Figures, measure_windows
from benchmarks.fleet.part import Part, Record, Table
from benchmarks.fleet.routers import Policy
from benchmarks.fleet.samples import Sample
from benchmarks.fleet.simulation import Setup, Simulation
from benchmarks.fleet.traffic import Load

BEFORE: Final = 0.5  # of the capacity that the load is planned for
AFTER: Final = 1.2
START_S: Final = (60.0, 300.0)
STEADY_S: Final = 30.0  # from the warm-up to the step
RUN_S: Final = 420.0  # from the step on
WINDOW_S: Final = 10.0
# The cell has caught up after two wide windows in a row with at most this time to the first token.
GOOD_MS: Final = 500.0
# Autoscaling does not depend on the cell's size, so a part of it is enough.
PART: Final = 4
MIN_REPLICAS: Final = 6


@dataclass(frozen=True)
class Run:
    """A run over time."""

    windows: Sequence[Figures]
    samples: Sequence[Sample]


def simulate(base: Setup) -> Part:
    """Raise the load of single questions, for two times of starting, with and without headroom."""
    replicas = max(MIN_REPLICAS, base.replicas // PART)
    step_s = base.warm_up_s + STEADY_S
    setup = _build_setup(base, replicas, step_s)
    runs: dict[str, Run] = {}
    for headroom in (0.0, setup.parameters.headroom):
        for start_s in START_S:
            name = f"start in {start_s:.0f} s, {headroom * 100:.0f} % headroom"
            warm = replace(setup, replicas=round(replicas * (1 + headroom)))
            runs[name] = _run(warm, start_s)
    records = [_build_record(name, run, step_s) for name, run in runs.items()]
    title = f"Load for {replicas} replicas goes from 50 % to 120 % at {step_s:.0f} s"
    return Part(
        "autoscaling", [Table(title, records)], lambda path: _draw(path, title, runs, step_s)
    )


def _build_setup(base: Setup, replicas: int, step_s: float) -> Setup:
    single = base.change(turns_mean=1, image_share=1, zipf_exponent=0, images=1_000_000)
    full = compute_max_rate(single.parameters) * replicas
    load = Load([(step_s, BEFORE * full), (step_s + RUN_S, AFTER * full)])
    return replace(
        single,
        policy=Policy.LEAST_REQUESTS,
        header=Header.NONE,
        load=load,
        seconds=step_s + RUN_S,
    )


def _run(setup: Setup, start_s: float) -> Run:
    simulation = Simulation(setup).run(Autoscaler(start_s).run)
    return Run(measure_windows(simulation, WINDOW_S), simulation.samples)


def _build_record(name: str, run: Run, step_s: float) -> Record:
    after = [each for each in run.windows if each.start_s >= step_s]
    offered = sum(each.offered for each in after)
    refused = sum(each.refused for each in after)
    return {
        "replicas": name,
        "at the step": float(run.samples[0].ready),
        "at the end": float(run.samples[-1].ready),
        "refused with 429, %": 100 * refused / offered,
        "highest TTFT p95, ms": max(each.ttft_ms_p95 for each in after),
        f"TTFT p95 below {GOOD_MS:.0f} ms after, s": find_good_s(after, step_s),
    }


def find_good_s(after: Sequence[Figures], step_s: float) -> float:
    """Return the seconds until the last window with long times to the first token has passed."""
    long = [each.start_s + WINDOW_S - step_s for each in after if each.ttft_ms_p95 > GOOD_MS]
    return max(long, default=0.0)


def _draw(path: Path, title: str, runs: Mapping[str, Run], step_s: float) -> None:
    def draw(axes: Sequence[Axes]) -> None:
        ready, usage, refused, times = axes
        for color, (name, run) in zip(COLORS, runs.items(), strict=False):
            x = [sample.time_s for sample in run.samples]
            ready.plot(x, [sample.ready for sample in run.samples], color=color, label=name)
            usage.plot(x, [100 * sample.kv_usage for sample in run.samples], color=color)
            starts = [each.start_s for each in run.windows]
            shares = [100 * each.refused / each.offered for each in run.windows]
            refused.plot(starts, shares, color=color)
            times.plot(starts, [each.ttft_ms_p95 for each in run.windows], color=color)
        set_time_axis(ready, "ready replicas")
        set_time_axis(usage, "KV cache in use, %")
        set_time_axis(refused, "refused with 429, %")
        set_time_axis(times, "TTFT p95, ms")
        set_log_scale(times)
        for panel in axes:
            mark(panel, step_s)

    draw_panels(path, title, 4, draw)
