"""The common parts of the simulation's charts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from PIL import Image

# Okabe and Ito's colors, which are safe for color blindness.
COLORS: Final = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#999999")
DPI: Final = 80
PANEL: Final = (4.6, 3.2)  # inches
PNG_COLORS: Final = 256


def draw_panels(
    path: Path, title: str, panels: int, draw: Callable[[Sequence[Axes]], None]
) -> None:
    """Draw panels side by side, two in a row. One legend, unless panels have their own."""
    columns = min(panels, 2)
    rows = -(-panels // columns)
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.7), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    draw(axes)
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(alpha=0.25)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.suptitle(f"{title} (simulated)", fontsize=11)
    if axes[0].get_legend() is None:
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=DPI)
    _shrink(path)


def _shrink(path: Path) -> None:
    """Reduce the colors to those that lines need, since charts are kept in the repository."""
    with Image.open(path) as image:
        image.convert("RGB").quantize(PNG_COLORS).save(path, optimize=True)


def set_time_axis(axes: Axes, label: str) -> None:
    """Label a panel over time."""
    axes.set(xlabel="time, s", ylabel=label)


def set_log_scale(axes: Axes) -> None:
    """Scale the y axis by powers of ten, with plain numbers."""
    axes.set_yscale("log")
    for side in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        side(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))


def mark(axes: Axes, time_s: float) -> None:
    """Mark the moment when something happens."""
    axes.axvline(time_s, color="black", linewidth=1, linestyle=":")
