"""Detects an engine that makes no step although it has sequences to decode."""

from typing import Any, Final

from vllm.v1.metrics.loggers import StatLoggerBase

# Longest time that counts between two checks, in seconds: a suspended machine or a busy event loop
# says nothing about the engine.
MAX_INTERVAL_S: Final = 1.0


class StepCounter(StatLoggerBase):  # type: ignore[misc]  # vLLM's types are not read
    """Counts the engine's steps: vLLM records each, even one without a token for any request."""

    def __init__(self) -> None:
        self.num_steps = 0

    def record(self, *_: Any, **__: Any) -> None:
        """Count one step."""
        self.num_steps += 1

    def log_engine_initialized(self) -> None:
        """Do nothing."""


class StallDetector:
    """Adds up the time that sequences have run without a step."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._num_steps = 0
        self._stalled_s = 0.0
        self._last_look: float | None = None

    def is_stalled(self, num_steps: int, now: float, *, has_sequences: bool) -> bool:
        """Check once. Return whether there has been no step for `timeout_s` seconds.

        Idle time does not count, but only a step ends a stall: clients that give up must not hide
        it. `now` is a reading of a monotonic clock.
        """
        elapsed = 0.0 if self._last_look is None else now - self._last_look
        self._last_look = now
        if num_steps != self._num_steps:
            self._num_steps = num_steps
            self._stalled_s = 0.0
        elif has_sequences:
            self._stalled_s += min(elapsed, MAX_INTERVAL_S)
        return self._stalled_s >= self._timeout_s
