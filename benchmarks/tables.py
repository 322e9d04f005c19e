"""The tables of a report, as rows and columns of text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.formatting import MISSING, format_number, format_ratio, format_verdict
from benchmarks.summary import ENGINE, OURS, PEER, RATE, START_UP, Ratio, Summary
from benchmarks.targets import Outcome, compare_ratio, compare_targets

CPU: Final = "cpu_ms_per_request"
ALONE: Final = "W8 alone"
MIXED: Final = "W8 mixed"
NAMES: Final = {OURS: "ours", PEER: "vLLM", ENGINE: "engine"}
ROLES: Final = ("server", "engine", "worker", "decode")  # "other" comes last
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
ON_GPU: Final = {
    "GPU MiB at rest": "gpu_rest_mib",
    "GPU MiB after load": "gpu_after_mib",
}


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table; its first `labels` columns are text, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    labels: int = 1


def build_tables(summary: Summary) -> list[TextTable]:
    """Build all tables of the report, the targets last."""
    return [
        build_rates(summary),
        build_latencies(summary),
        build_costs(summary),
        build_text_beside_images(summary),
        build_start_up(summary),
        build_targets(summary),
    ]


def build_rates(summary: Summary) -> TextTable:
    """Requests per second: ours, vLLM's server and the engine alone."""
    peer = ("ours", "vLLM", "ratio", "target", "reached")
    engine = ("engine", "of engine", "target", "reached")
    rows = [_build_rate_row(summary, workload) for workload in _list_workloads_with(summary, RATE)]
    return TextTable("Requests per second", ("workload", *peer, *engine), rows)


def _build_rate_row(summary: Summary, workload: str) -> tuple[str, ...]:
    return (
        workload,
        format_number(summary.median(OURS, workload, RATE)),
        format_number(summary.median(PEER, workload, RATE)),
        *_format_comparison(summary, PEER, workload),
        format_number(summary.median(ENGINE, workload, RATE)),
        *_format_comparison(summary, ENGINE, workload),
    )


def _format_comparison(summary: Summary, against: str, workload: str) -> tuple[str, str, str]:
    found = compare_ratio(summary, against, workload, RATE)
    bound = f"{found.target.bound:.2f}" if found else MISSING
    return _format_ratio_of(summary, against, workload, RATE), bound, format_verdict(found)


def build_latencies(summary: Summary) -> TextTable:
    """TTFT and inter-token latency of streams, and the latency of other responses."""
    columns = ("ours p50", "vLLM p50", "ratio", "ours p99", "vLLM p99", "ratio")
    rows = [
        (workload, label, *_format_pairs(summary, workload, f"{figure}_p50", f"{figure}_p99"))
        for workload in summary.workloads
        for label, figure in _select_latencies(summary, workload).items()
    ]
    return TextTable("Latencies, ms", ("workload", "time", *columns), rows, labels=2)


def _select_latencies(summary: Summary, workload: str) -> dict[str, str]:
    """Return the figures of a workload's latencies, by label."""
    if workload == START_UP:
        return {}
    has = {key.figure for key in summary.spreads if key.workload == workload}
    streamed = any(f"{figure}_p50" in has for figure in STREAM_TIMES.values())
    return STREAM_TIMES if streamed else WHOLE_TIMES


def build_costs(summary: Summary) -> TextTable:
    """CPU time per request by role, and peak memory."""
    roles = _list_roles(summary)
    rows = [
        (workload, NAMES[system], *_format_costs(summary, system, workload, roles))
        for workload in _list_workloads_with(summary, CPU, "peak_mib")
        for system in (OURS, PEER)
    ]
    columns = ("workload", "system", "all", *roles, "peak MiB")
    return TextTable("CPU ms per request by process, and peak memory", columns, rows, labels=2)


def _format_costs(summary: Summary, system: str, workload: str, roles: Sequence[str]) -> list[str]:
    figures = [CPU, *(f"{CPU}:{role}" for role in roles), "peak_mib"]
    return [format_number(summary.median(system, workload, figure)) for figure in figures]


def _list_roles(summary: Summary) -> list[str]:
    prefix = f"{CPU}:"
    found = {
        key.figure.removeprefix(prefix)
        for key in summary.spreads
        if key.figure.startswith(prefix) and key.system != ENGINE
    }
    first = [role for role in ROLES if role in found]
    unknown = sorted(found - {*ROLES, "other"})
    return [*first, *unknown, *({"other"} & found)]


def build_text_beside_images(summary: Summary) -> TextTable:
    """A text stream, alone and together with large images."""
    columns = ("ours alone", "vLLM alone", "ratio", "ours mixed", "vLLM mixed", "ratio")
    rows = [
        (label, *_format_pairs(summary, ALONE, figure), *_format_pairs(summary, MIXED, figure))
        for label, figure in BESIDE_IMAGES.items()
    ]
    return TextTable("W8: a text stream, alone and beside large images", ("", *columns), rows)


def build_start_up(summary: Summary) -> TextTable:
    """Start-up time and memory without load, also of the GPU if there is one."""
    has_gpu = any(key.figure in ON_GPU.values() for key in summary.spreads)
    figures = AT_START | (ON_GPU if has_gpu else {})
    rows = [(label, *_format_pairs(summary, START_UP, name)) for label, name in figures.items()]
    return TextTable("W10: start-up and memory", ("", "ours", "vLLM", "ratio"), rows)


def build_targets(summary: Summary) -> TextTable:
    """The targets with the measured ratios."""
    columns = ("workload", "figure", "ours over", "target", "measured", "rounds", "reached")
    rows = [_build_target_row(each) for each in compare_targets(summary)]
    return TextTable("Targets", columns, rows, labels=3)


def _build_target_row(outcome: Outcome) -> tuple[str, ...]:
    target, ratio = outcome.target, outcome.ratio
    return (
        target.workload,
        target.figure,
        NAMES[target.against],
        f"{'at least' if target.is_lower_bound else 'at most'} {target.bound:.2f}",
        format_ratio(ratio.value if ratio else None, target.figure),
        _format_range(ratio, target.figure),
        format_verdict(outcome),
    )


def _format_range(ratio: Ratio | None, figure: str) -> str:
    if ratio is None or ratio.low is None:
        return MISSING
    return f"{format_ratio(ratio.low, figure)} to {format_ratio(ratio.high, figure)}"


def _format_pairs(summary: Summary, workload: str, *figures: str) -> Iterable[str]:
    """Yield our figure, vLLM's and the ratio, for each name."""
    for figure in figures:
        yield format_number(summary.median(OURS, workload, figure))
        yield format_number(summary.median(PEER, workload, figure))
        yield _format_ratio_of(summary, PEER, workload, figure)


def _format_ratio_of(summary: Summary, against: str, workload: str, figure: str) -> str:
    ratio = summary.ratio(against, workload, figure)
    return format_ratio(ratio.value if ratio else None, figure)


def _list_workloads_with(summary: Summary, *figures: str) -> list[str]:
    """Return the workloads with any of these figures."""
    workloads = {key.workload for key in summary.spreads if key.figure in figures}
    return [workload for workload in summary.workloads if workload in workloads]
