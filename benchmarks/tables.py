"""The tables of a report, as text in rows and columns, however they are shown then."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.formatting import MISSING, number, times, verdict
from benchmarks.summary import ENGINE, OURS, PEER, RATE, START_UP, Ratio, Summary
from benchmarks.targets import Outcome, outcome, outcomes

CPU: Final = "cpu_ms_per_request"
ALONE: Final = "W8 alone"
MIXED: Final = "W8 mixed"
NAMES: Final = {OURS: "ours", PEER: "vLLM", ENGINE: "engine"}
ROLES: Final = ("server", "engine", "worker", "decode")  # "other" comes after all that have a name
STREAM_TIMES: Final = {"first token": "ttft_ms", "between tokens": "inter_token_ms"}
WHOLE_TIMES: Final = {"whole answer": "latency_ms"}
BESIDE_IMAGES: Final = {
    "first token, p50, ms": "ttft_ms_p50",
    "first token, p99, ms": "ttft_ms_p99",
    "between tokens, p50, ms": "inter_token_ms_p50",
    "between tokens, p99, ms": "inter_token_ms_p99",
    "images per second": "images_per_s",
}
AT_START: Final = {
    "seconds until ready": "ready_s",
    "MiB at rest": "rest_mib",
    "MiB after load": "after_mib",
}


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. All columns hold numbers but the first ones, as many as it has labels."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    labels: int = 1


def grids(summary: Summary) -> list[Grid]:
    """Return all tables of the report, the list of targets last."""
    return [
        rates(summary),
        latencies(summary),
        costs(summary),
        beside_images(summary),
        start_up(summary),
        targets(summary),
    ]


def rates(summary: Summary) -> Grid:
    """Requests per second: ours, vLLM's server and the engine alone."""
    peer = ("ours", "vLLM", "ratio", "target", "reached")
    engine = ("engine", "of engine", "target", "reached")
    rows = [_rate_row(summary, workload) for workload in _with(summary, RATE)]
    return Grid("Requests per second", ("workload", *peer, *engine), rows)


def _rate_row(summary: Summary, workload: str) -> tuple[str, ...]:
    return (
        workload,
        number(summary.median(OURS, workload, RATE)),
        number(summary.median(PEER, workload, RATE)),
        *_compared(summary, PEER, workload),
        number(summary.median(ENGINE, workload, RATE)),
        *_compared(summary, ENGINE, workload),
    )


def _compared(summary: Summary, against: str, workload: str) -> tuple[str, str, str]:
    found = outcome(summary, against, workload, RATE)
    bound = f"{found.target.bound:.2f}" if found else MISSING
    return _ratio(summary, against, workload, RATE), bound, verdict(found)


def latencies(summary: Summary) -> Grid:
    """Times of streamed answers' tokens, and of other answers as a whole."""
    columns = ("ours p50", "vLLM p50", "ratio", "ours p99", "vLLM p99", "ratio")
    rows = [
        (workload, label, *_beside(summary, workload, f"{figure}_p50", f"{figure}_p99"))
        for workload in summary.workloads
        for label, figure in _times(summary, workload).items()
    ]
    return Grid("Latencies, ms", ("workload", "time", *columns), rows, labels=2)


def _times(summary: Summary, workload: str) -> dict[str, str]:
    """Return what to show of a workload's times, by label."""
    if workload == START_UP:
        return {}
    has = {key.figure for key in summary.spreads if key.workload == workload}
    streamed = any(f"{figure}_p50" in has for figure in STREAM_TIMES.values())
    return STREAM_TIMES if streamed else WHOLE_TIMES


def costs(summary: Summary) -> Grid:
    """CPU time per request, by what the processes do, and memory at its peak."""
    roles = _roles(summary)
    rows = [
        (workload, NAMES[system], *_cost(summary, system, workload, roles))
        for workload in _with(summary, CPU, "peak_mib")
        for system in (OURS, PEER)
    ]
    columns = ("workload", "system", "all", *roles, "peak MiB")
    return Grid("CPU ms per request by process, and peak memory", columns, rows, labels=2)


def _cost(summary: Summary, system: str, workload: str, roles: Sequence[str]) -> list[str]:
    figures = [CPU, *(f"{CPU}:{role}" for role in roles), "peak_mib"]
    return [number(summary.median(system, workload, figure)) for figure in figures]


def _roles(summary: Summary) -> list[str]:
    prefix = f"{CPU}:"
    found = {
        key.figure.removeprefix(prefix)
        for key in summary.spreads
        if key.figure.startswith(prefix) and key.system != ENGINE
    }
    first = [role for role in ROLES if role in found]
    unknown = sorted(found - {*ROLES, "other"})
    return [*first, *unknown, *({"other"} & found)]


def beside_images(summary: Summary) -> Grid:
    """What a text stream sees while others send large images."""
    columns = ("ours alone", "vLLM alone", "ratio", "ours mixed", "vLLM mixed", "ratio")
    rows = [
        (label, *_beside(summary, ALONE, figure), *_beside(summary, MIXED, figure))
        for label, figure in BESIDE_IMAGES.items()
    ]
    return Grid("W8: a text stream, alone and beside large images", ("", *columns), rows)


def start_up(summary: Summary) -> Grid:
    """How soon a server is ready, and what memory it holds without work."""
    rows = [(label, *_beside(summary, START_UP, name)) for label, name in AT_START.items()]
    return Grid("W10: start-up and memory", ("", "ours", "vLLM", "ratio"), rows)


def targets(summary: Summary) -> Grid:
    """List each target with what was measured."""
    columns = ("workload", "figure", "ours over", "target", "measured", "rounds", "reached")
    rows = [_target_row(each) for each in outcomes(summary)]
    return Grid("Targets", columns, rows, labels=3)


def _target_row(outcome: Outcome) -> tuple[str, ...]:
    target, ratio = outcome.target, outcome.ratio
    return (
        target.workload,
        target.figure,
        NAMES[target.against],
        f"{'at least' if target.at_least else 'at most'} {target.bound:.2f}",
        times(ratio.value if ratio else None, target.figure),
        _range(ratio, target.figure),
        verdict(outcome),
    )


def _range(ratio: Ratio | None, figure: str) -> str:
    if ratio is None or ratio.low is None:
        return MISSING
    return f"{times(ratio.low, figure)} to {times(ratio.high, figure)}"


def _beside(summary: Summary, workload: str, *figures: str) -> Iterable[str]:
    """For each figure yield ours, vLLM's and the ratio."""
    for figure in figures:
        yield number(summary.median(OURS, workload, figure))
        yield number(summary.median(PEER, workload, figure))
        yield _ratio(summary, PEER, workload, figure)


def _ratio(summary: Summary, against: str, workload: str, figure: str) -> str:
    ratio = summary.ratio(against, workload, figure)
    return times(ratio.value if ratio else None, figure)


def _with(summary: Summary, *figures: str) -> list[str]:
    """Return the workloads in which any system has one of these figures."""
    having = {key.workload for key in summary.spreads if key.figure in figures}
    return [workload for workload in summary.workloads if workload in having]
