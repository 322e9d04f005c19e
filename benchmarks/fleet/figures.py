"""Figures of a run, whole or in windows of time."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.fleet.request import Outcome, Request
from benchmarks.fleet.simulation import Simulation
from benchmarks.percentiles import MS

NOTHING = float("nan")


@dataclass(frozen=True, slots=True)
class Figures:
    """Rates are per second of the whole cell, shares from 0 to 1; NaN if nothing happened."""

    start_s: float
    offered: float
    completed: float
    refused: float
    failed: float
    ttft_ms_p50: float
    ttft_ms_p95: float
    image_hits: float  # of requests with an image
    prefix_hits: float  # of prompt tokens


def measure(simulation: Simulation) -> Figures:
    """Measure a run from its warm-up to its end."""
    setup = simulation.setup
    return _measure(simulation.traffic.requests, setup.warm_up_s, setup.seconds)


def measure_windows(simulation: Simulation, width_s: float) -> list[Figures]:
    """Measure a run in windows, from the warm-up on."""
    setup = simulation.setup
    number = int((setup.seconds - setup.warm_up_s) / width_s)
    starts = [setup.warm_up_s + place * width_s for place in range(number)]
    groups: list[list[Request]] = [[] for _ in starts]
    for request in simulation.traffic.requests:
        for place in {_place(t, setup.warm_up_s, width_s) for t in _list_times(request)}:
            if 0 <= place < number:
                groups[place].append(request)
    return [
        _measure(group, start, start + width_s) for group, start in zip(groups, starts, strict=True)
    ]


def average_samples(simulation: Simulation, name: str) -> float:
    """Return the average of a sampled figure after the warm-up."""
    start = simulation.setup.warm_up_s
    return statistics.fmean(
        getattr(sample, name) for sample in simulation.samples if sample.time_s >= start
    )


def _list_times(request: Request) -> tuple[float, float]:
    return request.arrived_s, max(request.ended_s, request.arrived_s)


def _place(time_s: float, start_s: float, width_s: float) -> int:
    return int((time_s - start_s) // width_s)


def _measure(requests: Iterable[Request], start_s: float, end_s: float) -> Figures:
    """Arrivals count where they arrive, outcomes where they end."""
    requests = list(requests)
    arrived = [each for each in requests if start_s <= each.arrived_s < end_s]
    ended = [each for each in requests if start_s <= each.ended_s < end_s]
    begun = [each for each in arrived if each.first_token_s >= 0]
    with_image = [each for each in begun if each.image is not None]
    times_ms = sorted(each.ttft_s * MS for each in begun)
    seconds = end_s - start_s

    def rate(*outcomes: Outcome) -> float:
        return sum(each.outcome in outcomes for each in ended) / seconds

    return Figures(
        start_s=start_s,
        offered=len(arrived) / seconds,
        completed=rate(Outcome.COMPLETED),
        refused=rate(Outcome.REFUSED),
        failed=rate(Outcome.FAILED, Outcome.NO_REPLICA),
        ttft_ms_p50=_pick(times_ms, 0.5),
        ttft_ms_p95=_pick(times_ms, 0.95),
        image_hits=_share(with_image, lambda each: each.is_image_cached, lambda _: 1),
        prefix_hits=_share(begun, lambda each: each.cached_tokens, lambda each: each.prompt_tokens),
    )


def _pick(values: Sequence[float], share: float) -> float:
    """Return a percentile of sorted values."""
    return values[min(int(len(values) * share), len(values) - 1)] if values else NOTHING


def _share(
    requests: Sequence[Request],
    part: Callable[[Request], float],
    whole: Callable[[Request], float],
) -> float:
    return sum(map(part, requests)) / sum(map(whole, requests)) if requests else NOTHING
