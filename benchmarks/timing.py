"""How long a workload is measured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of the window, which a workload scales, and of the warm-up before it."""

    window_s: float
    warm_up_s: float
