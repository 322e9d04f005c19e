"""A rolling update of the cell: the cost of cold caches and missing replicas."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes

from benchmarks.fleet.charts import COLORS, draw_panels, mark, set_log_scale, set_time_axis
from benchmarks.fleet.conversation import Header
from benchmarks.fleet.figures import Figures, measure_windows
from benchmarks.fleet.part import Part, Record, Table
from benchmarks.fleet.rolling_update import build_update
from benchmarks.fleet.routers import Policy
from benchmarks.fleet.simulation import Setup, Simulation
from benchmarks.fleet.traffic import constant

RATE: Final = 12.0  # requests per second for each replica
START_S: Final = 60.0  # weights and image are on the nodes
BEFORE_S: Final = 30.0  # from the warm-up to the update
RUN_S: Final = 390.0
WINDOW_S: Final = 10.0
WAYS: Final = {"new replicas first (surge)": True, "old replicas first": False}


def simulate(base: Setup) -> Part:
    """Replace all replicas under load, a quarter at a time."""
    at_s = base.warm_up_s + BEFORE_S
    setup = replace(
        base,
        policy=Policy.BOUNDED_HASH,
        header=Header.ECHOED,
        load=constant(RATE * base.replicas),
        seconds=at_s + RUN_S,
    ).change(start_s=START_S)
    windows = {way: _run(setup, at_s, new_first=first) for way, first in WAYS.items()}
    records = [_build_record(way, found, at_s) for way, found in windows.items()]
    title = f"All {base.replicas} replicas are replaced from {at_s:.0f} s on, a quarter at a time"
    return Part(
        "rolling-update", [Table(title, records)], lambda path: _draw(path, title, windows, at_s)
    )


def _run(setup: Setup, at_s: float, *, new_first: bool) -> list[Figures]:
    update = build_update(at_s, new_first=new_first)
    return measure_windows(Simulation(setup).run(update), WINDOW_S)


def _build_record(way: str, windows: Sequence[Figures], at_s: float) -> Record:
    before = [each for each in windows if each.start_s < at_s]
    after = [each for each in windows if each.start_s >= at_s]
    return {
        "way": way,
        "failed requests": sum(each.failed for each in after) * WINDOW_S,
        "429s": sum(each.refused for each in after) * WINDOW_S,
        "TTFT p95 before, ms": sum(each.ttft_ms_p95 for each in before) / len(before),
        "highest after, ms": max(each.ttft_ms_p95 for each in after),
        "image hits before, %": 100 * sum(each.image_hits for each in before) / len(before),
        "lowest after, %": 100 * min(each.image_hits for each in after),
        "at the end, %": 100 * after[-1].image_hits,
    }


def _draw(path: Path, title: str, windows: Mapping[str, Sequence[Figures]], at_s: float) -> None:
    def draw(axes: Sequence[Axes]) -> None:
        times, images = axes
        for color, (way, found) in zip(COLORS, windows.items(), strict=False):
            x = [each.start_s for each in found]
            times.plot(x, [each.ttft_ms_p95 for each in found], color=color, label=way)
            images.plot(x, [100 * each.image_hits for each in found], color=color)
        set_time_axis(times, "TTFT p95, ms")
        set_log_scale(times)
        set_time_axis(images, "image hits, %")
        for panel in axes:
            mark(panel, at_s)

    draw_panels(path, title, 2, draw)
