"""The picture of a run: our requests per second over vLLM's and over the engine's alone."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from benchmarks.formatting import times
from benchmarks.summary import ENGINE, PEER, RATE, Ratio, Summary
from benchmarks.targets import Target, target
from benchmarks.workloads import WORKLOADS

# Okabe and Ito's colours, which all kinds of sight tell apart.
COLOURS: Final = {True: "#56B4E9", False: "#E69F00", None: "#BBBBBB"}
LABELS: Final = {True: "target reached", False: "target missed", None: "no target"}
TICK: Final = "#D55E00"
RANGE: Final = "black"
BAR: Final = 0.62  # of a row
MARGIN: Final = 1.1
TITLE_CHARACTERS: Final = 120


@dataclass(frozen=True, slots=True)
class Bar:
    """One workload's ratio, and the target for it where there is one."""

    workload: str
    ratio: Ratio
    target: Target | None

    @property
    def reached(self) -> bool | None:
        """Tell whether the target is reached; None where there is none."""
        return None if self.target is None else self.target.holds(self.ratio.value)

    @property
    def marks(self) -> list[float]:
        """All that must be in view and can be on a logarithmic axis."""
        bound = self.target.bound if self.target else None
        marks = (self.ratio.value, self.ratio.low, self.ratio.high, bound)
        return [mark for mark in marks if mark]


def draw_chart(summary: Summary, environment: Mapping[str, str], path: Path) -> None:
    """Draw both comparisons beside each other; the environment stands in the title."""
    peer, engine = bars(summary, PEER), bars(summary, ENGINE)
    both = {bar.workload for bar in (*peer, *engine)}
    rows = [name for name in summary.workloads if name in both]
    figure = Figure(figsize=(13, 2.4 + 0.34 * max(len(rows), 4)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _rows(left, rows)
    left.set(title="llava-server / vLLM's server", xlabel="ratio (logarithmic)")
    right.set(title="llava-server / the engine alone", xlabel="ratio")
    _logarithmic(left, peer)
    right.set_xlim(0, MARGIN * max(_marks(engine)))
    for axes, shown, base in ((left, peer, 1.0), (right, engine, 0.0)):
        _panel(axes, shown, rows, base)
    figure.suptitle(title(summary, environment), fontsize=11, parse_math=False)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=6, frameon=False)
    figure.savefig(path, dpi=120)


def bars(summary: Summary, against: str) -> list[Bar]:
    """Return a bar for each workload with a ratio that a logarithmic axis can hold."""
    found = []
    for workload in summary.workloads:
        ratio = summary.ratio(against, workload, RATE)
        if ratio and ratio.value > 0:
            found.append(Bar(workload, ratio, target(against, workload, RATE)))
    return found


def title(summary: Summary, environment: Mapping[str, str]) -> str:
    """Say what is shown, and on what and with what it was measured."""
    measured = " · ".join(f"{name} {value}" for name, value in environment.items())
    head = f"Requests per second, medians (rounds: {summary.rounds})"
    return "\n".join([head, *textwrap.wrap(measured, TITLE_CHARACTERS)])


def _rows(axes: Axes, rows: Sequence[str]) -> None:
    """Name the workloads, from the top down."""
    titles = {each.name: each.title for each in WORKLOADS}
    labels = [f"{name}: {titles[name]}" if name in titles else name for name in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=9, parse_math=False)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)


def _logarithmic(axes: Axes, shown: Sequence[Bar]) -> None:
    """Scale by powers of two, with room for at least half and twice."""
    marks = [0.5, 2.0, *_marks(shown)]
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(marks) / MARGIN, max(marks) * MARGIN)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _marks(shown: Sequence[Bar]) -> list[float]:
    return [1.0, *(mark for bar in shown for mark in bar.marks)]


def _panel(axes: Axes, shown: Sequence[Bar], rows: Sequence[str], base: float) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    for bar in shown:
        _draw(axes, rows.index(bar.workload), bar, base)
    axes.axvline(1, color="black", linewidth=1, linestyle="--")


def _draw(axes: Axes, place: int, bar: Bar, base: float) -> None:
    ratio = bar.ratio
    axes.barh(place, ratio.value - base, BAR, left=base, color=COLOURS[bar.reached])
    if ratio.low is not None and ratio.high is not None:
        axes.hlines(place, ratio.low, ratio.high, color=RANGE, linewidth=1.5)
    if bar.target is not None:
        axes.vlines(bar.target.bound, place - 0.45, place + 0.45, color=TICK, linewidth=3)
    beside = axes.get_yaxis_transform()  # x in widths of the panel, y in rows
    axes.text(1.01, place, times(ratio.value, RATE), transform=beside, va="center", fontsize=9)


def _legend() -> list[Patch | Line2D]:
    patches = [Patch(color=COLOURS[reached], label=LABELS[reached]) for reached in LABELS]
    lines = [
        Line2D([], [], color=TICK, linewidth=3, label="target"),
        Line2D([], [], color=RANGE, linewidth=1.5, label="range over rounds"),
        Line2D([], [], color="black", linewidth=1, linestyle="--", label="equal"),
    ]
    return [*patches, *lines]
