"""Formatting of figures in tables."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from benchmarks.summary import is_higher_better
from benchmarks.targets import Outcome

MISSING: Final = "-"
HUNDREDTH: Final = Decimal("0.01")


def format_number(value: float | None) -> str:
    """Format a figure with two decimals, fewer from 10 and none from 1,000."""
    if value is None:
        return MISSING
    decimals = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{decimals}f}"


def format_ratio(ratio: float | None, figure: str) -> str:
    """Format a ratio, rounded against us: a near miss must not look like its target."""
    if ratio is None:
        return MISSING
    rounding = ROUND_FLOOR if is_higher_better(figure) else ROUND_CEILING
    return str(Decimal(str(ratio)).quantize(HUNDREDTH, rounding))


def format_verdict(outcome: Outcome | None) -> str:
    """Format whether a target is reached."""
    if outcome is None or outcome.is_reached is None:
        return MISSING
    return "yes" if outcome.is_reached else "NO"
