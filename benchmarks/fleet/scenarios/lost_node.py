"""A lost node: errors, recovery, and the cost of cold caches."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes

from benchmarks.fleet.charts import COLORS, draw_panels, mark, set_log_scale, set_time_axis
from benchmarks.fleet.conversation import Header
from benchmarks.fleet.faults import build_loss
from benchmarks.fleet.figures import Figures, measure_windows
from benchmarks.fleet.part import Part, Record, Table
from benchmarks.fleet.routers import Policy
from benchmarks.fleet.simulation import Setup, Simulation
from benchmarks.fleet.traffic import constant

RATE: Final = 12.0  # requests per second for each replica
SHARE: Final = 1 / 8  # of the replicas: a host with 8 GPUs of 64
BEFORE_S: Final = 30.0  # from the warm-up to the loss
AFTER_S: Final = 210.0
WINDOW_S: Final = 5.0
# Times are back to normal when they are within this factor of the former ones.
TOLERANCE: Final = 1.5
WAYS: Final = {
    "least requests": (Policy.LEAST_REQUESTS, Header.NONE),
    "bounded hash, header echoed": (Policy.BOUNDED_HASH, Header.ECHOED),
}


def simulate(base: Setup) -> Part:
    """Lose an eighth of the replicas at once; as many are started anew."""
    at_s = base.warm_up_s + BEFORE_S
    lost = max(1, round(base.replicas * SHARE))
    setup = replace(base, load=constant(RATE * base.replicas), seconds=at_s + AFTER_S)
    windows = {way: measure_windows(_run(setup, way, at_s, lost), WINDOW_S) for way in WAYS}
    title = f"{lost} of {base.replicas} replicas are lost at {at_s:.0f} s"
    records = [_build_record(way, found, at_s) for way, found in windows.items()]
    return Part(
        "lost-node", [Table(title, records)], lambda path: _draw(path, title, windows, at_s)
    )


def _run(setup: Setup, way: str, at_s: float, lost: int) -> Simulation:
    policy, header = WAYS[way]
    simulation = Simulation(replace(setup, policy=policy, header=header))
    return simulation.run(build_loss(at_s, lost))


def _build_record(way: str, windows: Sequence[Figures], at_s: float) -> Record:
    before = [each for each in windows if each.start_s < at_s]
    after = [each for each in windows if each.start_s >= at_s]
    usual_ms = sum(each.ttft_ms_p95 for each in before) / len(before)
    usual_hits = sum(each.image_hits for each in before) / len(before)
    return {
        "routing": way,
        "failed requests": sum(each.failed for each in after) * WINDOW_S,
        "429s": sum(each.refused for each in after) * WINDOW_S,
        "TTFT p95 before, ms": usual_ms,
        "highest after, ms": max(each.ttft_ms_p95 for each in after),
        "normal after, s": find_recovery_s(after, usual_ms * TOLERANCE, at_s),
        "image hits before, %": usual_hits * 100,
        "lowest after, %": min(each.image_hits for each in after) * 100,
    }


def find_recovery_s(after: Sequence[Figures], bound_ms: float, at_s: float) -> float:
    """Return the seconds until the last window whose TTFT p95 is above a bound has passed."""
    high = [each.start_s + WINDOW_S - at_s for each in after if each.ttft_ms_p95 > bound_ms]
    return max(high, default=0.0)


def _draw(path: Path, title: str, windows: Mapping[str, Sequence[Figures]], at_s: float) -> None:
    def draw(axes: Sequence[Axes]) -> None:
        failed, times, images, prefixes = axes
        for color, (way, found) in zip(COLORS, windows.items(), strict=False):
            x = [each.start_s for each in found]
            failed.plot(x, [each.failed for each in found], color=color, label=way)
            times.plot(x, [each.ttft_ms_p95 for each in found], color=color)
            images.plot(x, [100 * each.image_hits for each in found], color=color)
            prefixes.plot(x, [100 * each.prefix_hits for each in found], color=color)
        set_time_axis(failed, "failed, requests/s")
        set_time_axis(times, "TTFT p95, ms")
        set_log_scale(times)
        set_time_axis(images, "image hits, %")
        set_time_axis(prefixes, "prefix hits, %")
        for panel in axes:
            mark(panel, at_s)

    draw_panels(path, title, 4, draw)
