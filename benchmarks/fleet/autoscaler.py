"""Autoscaling: adds replicas when the engines' metrics show for a while that they are full."""

import math
from dataclasses import dataclass

from benchmarks.fleet.cell import Cell
from benchmarks.fleet.engine import Steps
from benchmarks.fleet.samples import SAMPLE_S, Sample, take_sample


@dataclass(slots=True)
class Autoscaler:
    """Requests as many replicas as bring `vllm:kv_cache_usage_perc` back to `kv_high`.

    It only adds. A request that waits for room (`vllm:num_requests_waiting`) counts as full.
    """

    start_s: float  # from the decision to a ready replica
    high_s: float = 0.0  # for how long the metrics have been high

    def run(self, cell: Cell) -> Steps:
        """Check every scrape; decide after `scale_window_s` of high figures."""
        while True:
            yield cell.env.timeout(SAMPLE_S)
            sample = take_sample(cell)
            usage = _measure_usage(sample)
            self.high_s = self.high_s + SAMPLE_S if usage > cell.parameters.kv_high else 0.0
            if self.high_s >= cell.parameters.scale_window_s:
                self.high_s = 0.0
                for _ in range(count_missing(sample, cell.parameters.kv_high)):
                    cell.env.process(cell.start_replica(self.start_s))


def count_missing(sample: Sample, target: float) -> int:
    """Return how many replicas to start, in addition to those already starting."""
    wanted = math.ceil(sample.ready * _measure_usage(sample) / target)
    return max(0, wanted - sample.ready - sample.starting)


def _measure_usage(sample: Sample) -> float:
    """Return the share of the KV cache in use: all of it if requests wait."""
    return 1.0 if sample.waiting > 0 else sample.kv_usage
