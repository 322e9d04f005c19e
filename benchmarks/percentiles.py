"""Percentiles of measured times."""

import statistics
from collections.abc import Sequence
from typing import Final

MS: Final = 1000


def compute_percentiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """Return `name_p50` and `name_p99` in milliseconds; nothing for fewer than two times."""
    if len(seconds) < 2:
        return {}
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {f"{name}_p50": cuts[49] * MS, f"{name}_p99": cuts[98] * MS}
