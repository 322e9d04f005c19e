"""`python -m benchmarks.overload`: ten times the clients that saturate this server and vLLM's."""

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import typer

from benchmarks.environment import describe_environment
from benchmarks.journal import Journal, Measurement
from benchmarks.overload.loads import LOADS, Load
from benchmarks.overload.measure import API_KEYS, CLIENTS, Figures, LoadRunner
from benchmarks.overload.report import (
    FAIRNESS,
    build_overload_tables,
    print_overload_report,
    write_overload_results,
)
from benchmarks.systems import OURS, PEER, System, run_system
from benchmarks.timing import Timing

QUICK: Final = Timing(window_s=2.5, warm_up_s=1.0)
FULL: Final = Timing(window_s=5.0, warm_up_s=1.5)
QUICK_ROUNDS: Final = 1
FULL_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of a run."""

    rounds: int
    timing: Timing
    loads: tuple[str, ...]
    systems: tuple[str, ...]
    eager: bool

    @property
    def selected_loads(self) -> list[Load]:
        """The loads by name, in their order."""
        return [each for each in LOADS if each.name in self.loads]


class Run:
    """One run: rounds of both systems; each measurement is journaled at once."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self.journal = Journal(folder / "journal.jsonl", asdict(plan))

    def measure_all(self) -> None:
        """Run all measurements that the journal lacks, one system after the other."""
        keyed = replace(OURS, options=(*OURS.options, "--api-keys", ",".join(API_KEYS)))
        for number in range(self._plan.rounds):
            for system in (OURS, PEER):
                if system.name in self._plan.systems:
                    self._measure_loads(number, system)
            # vLLM's server treats all keys as one.
            if OURS.name in self._plan.systems and FAIRNESS in self._plan.loads:
                self._measure_fairness(number, keyed)

    def _measure_loads(self, number: int, system: System) -> None:
        missing = [
            load
            for load in self._plan.selected_loads
            if not self.journal.has(number, system.name, f"{load.name} overload")
        ]
        if not missing:
            return
        for runner in self._start(number, system):
            for load in missing:
                self._measure_load(number, system, runner, load)

    def _measure_load(self, number: int, system: System, runner: LoadRunner, load: Load) -> None:
        saturation: dict[int, Figures] = {}
        for clients in CLIENTS:
            saturation[clients] = runner.measure_saturation(load, clients)
            self._record(number, system, f"{load.name} {clients}", saturation[clients])
        overload = runner.measure_overload(load, saturation)
        self._record(number, system, f"{load.name} overload", overload)

    def _measure_fairness(self, number: int, system: System) -> None:
        if self.journal.has(number, system.name, FAIRNESS):
            return
        for runner in self._start(number, system):
            self._record(number, system, FAIRNESS, runner.measure_fairness())

    def _start(self, number: int, system: System) -> Iterator[LoadRunner]:
        log = self._folder / f"{system.name}-{number + 1}.log"
        with run_system(system, log, eager=self._plan.eager) as server:
            yield LoadRunner(server, self._plan.timing, number, self._folder / "pictures")

    def _record(self, number: int, system: System, name: str, figures: Figures) -> None:
        # The load average shows what else ran on the machine.
        figures = figures | {"load_average": os.getloadavg()[0]}
        self.journal.add(Measurement(number, system.name, name, figures))
        print(
            f"round {number + 1}  {system.name:5} {name:15} {figures['goodput_per_s']:7.1f} req/s"
            f"  p99 {figures.get('latency_ms_p99', 0):7.0f} ms"
            f"  429 {figures['refusals_per_s']:7.1f}/s"
            f" in {figures.get('refusal_ms_p99', 0):5.0f} ms",
            flush=True,
        )


def main(
    out: Annotated[Path, typer.Option(help="folder for results; a run cut off goes on in it")],
    quick: Annotated[bool, typer.Option("--quick", help="one short round")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="default: 3, with --quick 1")] = None,
    only: Annotated[str, typer.Option(help="some loads, with commas between them")] = "",
    system: Annotated[str, typer.Option(help="ours, peer, or both with a comma")] = "ours,peer",
    eager: Annotated[bool, typer.Option("--eager", help="compile the model nowhere")] = False,
) -> None:
    """Overload this server and vLLM's own, and print what becomes of goodput and latency."""
    plan = Plan(
        rounds=rounds or (QUICK_ROUNDS if quick else FULL_ROUNDS),
        timing=QUICK if quick else FULL,
        loads=_select(only, [*(each.name for each in LOADS), FAIRNESS]),
        systems=_select(system, [OURS.name, PEER.name]),
        eager=eager,
    )
    started = time.monotonic()
    run = Run(plan, out)
    run.measure_all()
    measured = run.journal.measurements
    tables = build_overload_tables(measured)
    write_overload_results(out, tables, measured, describe_environment(()))
    print_overload_report(tables)
    print(f"{out / 'results.json'} and .md; {(time.monotonic() - started) / 60:.1f} minutes")


def _select(requested: str, names: list[str]) -> tuple[str, ...]:
    """Return the named ones, or all."""
    chosen = [name.strip() for name in requested.split(",") if name.strip()]
    if unknown := set(chosen) - set(names):
        raise typer.BadParameter(f"unknown: {', '.join(sorted(unknown))}; there are {names}")
    return tuple(name for name in names if not chosen or name in chosen)


if __name__ == "__main__":
    typer.run(main)
