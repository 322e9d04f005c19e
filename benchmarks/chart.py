"""The chart of a run: our requests per second over vLLM's and over the engine's."""

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

from benchmarks.formatting import format_ratio
from benchmarks.summary import ENGINE, PEER, RATE, Ratio, Summary
from benchmarks.targets import Target, find_target

# Okabe and Ito's colours, which are safe for colour blindness.
COLOURS: Final = {True: "#56B4E9", False: "#E69F00", None: "#BBBBBB"}
LABELS: Final = {True: "target reached", False: "target missed", None: "no target"}
TICK: Final = "#D55E00"
RANGE: Final = "black"
BAR: Final = 0.62  # of a row
MARGIN: Final = 1.1
TITLE_CHARACTERS: Final = 120


@dataclass(frozen=True, slots=True)
class Bar:
    """One workload's ratio and its target, if any."""

    workload: str
    ratio: Ratio
    target: Target | None

    @property
    def is_reached(self) -> bool | None:
        """Whether the target is reached; None without a target."""
        return None if self.target is None else self.target.is_reached_by(self.ratio.value)

    @property
    def marks(self) -> list[float]:
        """The positive values that the axis has to cover."""
        bound = self.target.bound if self.target else None
        marks = (self.ratio.value, self.ratio.low, self.ratio.high, bound)
        return [mark for mark in marks if mark]


def draw_chart(summary: Summary, environment: Mapping[str, str], path: Path) -> None:
    """Draw both comparisons side by side, with the environment in the title."""
    peer, engine = build_bars(summary, PEER), build_bars(summary, ENGINE)
    both = {bar.workload for bar in (*peer, *engine)}
    rows = [name for name in summary.workloads if name in both]
    figure = Figure(figsize=(13, 2.4 + 0.34 * max(len(rows), 4)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _label_rows(left, rows, summary.suite.titles)
    left.set(title="llava-server / vLLM's server", xlabel="ratio (logarithmic)")
    right.set(title="llava-server / the engine alone", xlabel="ratio")
    _set_log_scale(left, peer)
    right.set_xlim(0, MARGIN * max(_collect_marks(engine)))
    for axes, shown, base in ((left, peer, 1.0), (right, engine, 0.0)):
        _draw_panel(axes, shown, rows, base)
    figure.suptitle(build_title(summary, environment), fontsize=11, parse_math=False)
    figure.legend(handles=_build_legend(), loc="outside lower center", ncols=6, frameon=False)
    figure.savefig(path, dpi=120)


def build_bars(summary: Summary, against: str) -> list[Bar]:
    """Build a bar for each workload with a positive ratio, as the logarithmic axis needs."""
    found = []
    for workload in summary.workloads:
        ratio = summary.ratio(against, workload, RATE)
        if ratio and ratio.value > 0:
            found.append(Bar(workload, ratio, find_target(summary.suite, against, workload, RATE)))
    return found


def build_title(summary: Summary, environment: Mapping[str, str]) -> str:
    """Build the title: the metric, the rounds and the environment."""
    measured = " · ".join(f"{name} {value}" for name, value in environment.items())
    head = f"Requests per second, medians (rounds: {summary.rounds})"
    return "\n".join([head, *textwrap.wrap(measured, TITLE_CHARACTERS)])


def _label_rows(axes: Axes, rows: Sequence[str], titles: Mapping[str, str]) -> None:
    """Label the rows with the workloads, from the top down."""
    labels = [f"{name}: {titles[name]}" if name in titles else name for name in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=9, parse_math=False)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)


def _set_log_scale(axes: Axes, shown: Sequence[Bar]) -> None:
    """Scale by powers of two; the axis covers at least 0.5 to 2."""
    marks = [0.5, 2.0, *_collect_marks(shown)]
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(marks) / MARGIN, max(marks) * MARGIN)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _collect_marks(shown: Sequence[Bar]) -> list[float]:
    return [1.0, *(mark for bar in shown for mark in bar.marks)]


def _draw_panel(axes: Axes, shown: Sequence[Bar], rows: Sequence[str], base: float) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    for bar in shown:
        _draw_bar(axes, rows.index(bar.workload), bar, base)
    axes.axvline(1, color="black", linewidth=1, linestyle="--")


def _draw_bar(axes: Axes, place: int, bar: Bar, base: float) -> None:
    ratio = bar.ratio
    axes.barh(place, ratio.value - base, BAR, left=base, color=COLOURS[bar.is_reached])
    if ratio.low is not None and ratio.high is not None:
        axes.hlines(place, ratio.low, ratio.high, color=RANGE, linewidth=1.5)
    if bar.target is not None:
        axes.vlines(bar.target.bound, place - 0.45, place + 0.45, color=TICK, linewidth=3)
    beside = axes.get_yaxis_transform()  # x in widths of the panel, y in rows
    axes.text(
        1.01, place, format_ratio(ratio.value, RATE), transform=beside, va="center", fontsize=9
    )


def _build_legend() -> list[Patch | Line2D]:
    patches = [Patch(color=COLOURS[reached], label=LABELS[reached]) for reached in LABELS]
    lines = [
        Line2D([], [], color=TICK, linewidth=3, label="target"),
        Line2D([], [], color=RANGE, linewidth=1.5, label="range over rounds"),
        Line2D([], [], color="black", linewidth=1, linestyle="--", label="equal"),
    ]
    return [*patches, *lines]
