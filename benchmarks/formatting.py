"""Numbers as text, for cells of tables."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from benchmarks.summary import more_is_better
from benchmarks.targets import Outcome

MISSING: Final = "-"
HUNDREDTH: Final = Decimal("0.01")


def number(value: float | None) -> str:
    """Show what matters of a figure: two decimals of a small one, none of a large one."""
    if value is None:
        return MISSING
    decimals = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{decimals}f}"


def times(ratio: float | None, figure: str) -> str:
    """Show a ratio, rounded against us: what just misses its target must not look like it."""
    if ratio is None:
        return MISSING
    rounding = ROUND_FLOOR if more_is_better(figure) else ROUND_CEILING
    return str(Decimal(str(ratio)).quantize(HUNDREDTH, rounding))


def verdict(outcome: Outcome | None) -> str:
    """Say whether a target is reached."""
    if outcome is None or outcome.reached is None:
        return MISSING
    return "yes" if outcome.reached else "NO"
