"""The chart of a soak: outcomes, latency and resources over time, with the faults."""

from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.percentiles import compute_percentiles
from benchmarks.soak.timeline import GOOD_OUTCOMES, Timeline, Window

# Okabe and Ito's colors, which are safe for color blindness.
COLORS: Final = ("#56B4E9", "#009E73", "#E69F00", "#999999", "#F0E442", "#D55E00")
FAULT: Final = "#CC79A7"
FAILED: Final = "failed"


def draw_soak_chart(timeline: Timeline, path: Path) -> None:
    """Draw the panels below each other, with a line for each fault."""
    figure = Figure(figsize=(13, 11), layout="constrained")
    outcomes, latency, memory, counts = figure.subplots(4, 1, sharex=True)
    _draw_outcomes(outcomes, timeline)
    _draw_latency(latency, timeline)
    _draw_memory(memory, timeline)
    _draw_counts(counts, timeline)
    counts.set_xlabel("seconds")
    for axes in (outcomes, latency, memory, counts):
        axes.spines[["top", "right"]].set_visible(False)
        for fault in timeline.faults:
            axes.axvline(fault.start_s, color=FAULT, linewidth=0.8, linestyle=":")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    for fault in timeline.faults:
        outcomes.text(
            fault.start_s,
            1.02,
            fault.name,
            transform=outcomes.get_xaxis_transform(),
            rotation=60,
            fontsize=7,
            va="bottom",
        )
    figure.savefig(path, dpi=110)


def _draw_outcomes(axes: Axes, timeline: Timeline) -> None:
    starts = [window.start_s for window in timeline.windows]
    names = (*GOOD_OUTCOMES, FAILED)
    rates = [
        [_count(window, name) / timeline.window_s for window in timeline.windows] for name in names
    ]
    axes.stackplot(starts, rates, labels=names, colors=COLORS, step="post")
    axes.set_ylabel("requests/s")


def _count(window: Window, name: str) -> int:
    return sum(
        count
        for (_, outcome), count in window.outcomes.items()
        if (outcome if outcome in GOOD_OUTCOMES else FAILED) == name
    )


def _draw_latency(axes: Axes, timeline: Timeline) -> None:
    for figure in ("p50", "p99"):
        values = [_measure(window, figure) for window in timeline.windows]
        starts = [window.start_s for window in timeline.windows]
        axes.plot(starts, values, drawstyle="steps-post", label=figure)
    axes.set(ylabel="latency, ms", yscale="log")


def _measure(window: Window, figure: str) -> float:
    seconds = [t for kind in window.latencies_s.values() for t in kind]
    return compute_percentiles("ms", seconds).get(f"ms_{figure}", float("nan"))


def _draw_memory(axes: Axes, timeline: Timeline) -> None:
    times = [each.time_s for each in timeline.resources]
    axes.plot(times, [each.memory for each in timeline.resources], label="server")
    axes.plot(times, [each.memory_of_all for each in timeline.resources], label="all processes")
    axes.set(ylabel="MiB", ylim=(0, None))


def _draw_counts(axes: Axes, timeline: Timeline) -> None:
    times = [each.time_s for each in timeline.resources]
    for name in ("files", "threads", "processes"):
        axes.plot(times, [getattr(each, name) for each in timeline.resources], label=name)
    axes.set(ylabel="number", ylim=(0, None))
