"""`python -m benchmarks`: benchmarks this server, vLLM's server and the engine alone."""

import json
import shlex
import signal
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from tqdm import tqdm

from benchmarks.environment import describe_environment
from benchmarks.gpu import has_gpu, measure_gpu_memory_mib
from benchmarks.journal import Journal, Measurement
from benchmarks.measure import measure_engine, measure_load
from benchmarks.random_checkpoint import SHAPES_FOLDER, write_on_fastest_device
from benchmarks.report import print_report, render_markdown, write_results
from benchmarks.shapes.registry import SHAPES
from benchmarks.shapes.shape import Shape
from benchmarks.suites import SUITES, TINY, Suite
from benchmarks.summary import ENGINE, RATE, START_UP, summarise
from benchmarks.systems import (
    LLAVA_TINY,
    OURS,
    PEER,
    RunningServer,
    ServedModel,
    System,
    run_system,
)
from benchmarks.timing import Timing
from benchmarks.usage import list_pids, measure_memory_mib
from benchmarks.vllm_bench import run_vllm_bench
from benchmarks.workloads import Workload

# Seeds of vLLM's random prompts that contain no special token such as `<image>`.
SEEDS: Final = (0, 4, 8, 11)


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of a run."""

    rounds: int
    timing: Timing
    workloads: tuple[str, ...]
    eager: bool
    with_vllm_bench: bool
    peer_arguments: tuple[str, ...]
    model: ServedModel = LLAVA_TINY
    suite_name: str = TINY.name

    @property
    def suite(self) -> Suite:
        """The suite of the workloads."""
        return SUITES[self.suite_name]

    @property
    def num_measurements(self) -> int:
        """The number of measurements, without those of vLLM's load tool."""
        engine = len(self.engine_workloads)
        return self.rounds * (2 * (len(self.workloads) + 1) + engine)

    @property
    def engine_workloads(self) -> list[str]:
        """The workloads of the engine alone."""
        return [name for name in self.suite.engine_workloads if name in self.workloads]

    @property
    def selected_workloads(self) -> list[Workload]:
        """The workloads by name, in their order."""
        return [each for each in self.suite.workloads if each.name in self.workloads]


class Run:
    """One run: rounds of all systems; each measurement is journaled at once."""

    def __init__(self, plan: Plan, folder: Path, progress: Any) -> None:
        self._plan = plan
        self._folder = folder
        self._progress = progress
        self.journal = Journal(
            folder / "journal.jsonl", json.loads(json.dumps(asdict(plan), default=str))
        )
        progress.update(len(self.journal.measurements))

    def measure_all(self) -> None:
        """Run all measurements that the journal lacks, one system after the other."""
        peer = replace(PEER, options=self._plan.peer_arguments)
        for number in range(self._plan.rounds):
            self._measure_system(number, OURS)
            self._measure_system(number, peer)
            self._measure_engine(number)

    def _measure_system(self, number: int, system: System) -> None:
        if self.journal.has(number, system.name, START_UP):
            return
        self._progress.set_description(f"round {number + 1}, {system.name} starts")
        log = self._folder / f"{system.name}-{number + 1}.log"
        model = self._plan.model
        with run_system(system, log, eager=self._plan.eager, model=model) as server:
            rest = _measure_memory(server, "rest")
            for work in self._plan.selected_workloads:
                if not self.journal.has(number, system.name, work.name):
                    self._measure_load(number, system, server, work)
            after = _measure_memory(server, "after")
            if self._plan.with_vllm_bench:
                self._run_vllm_bench(number, system, server)
        start_up = {"ready_s": server.ready_s} | rest | after
        self._record(Measurement(number, system.name, START_UP, start_up))

    def _measure_load(
        self, number: int, system: System, server: RunningServer, work: Workload
    ) -> None:
        self._progress.set_description(f"round {number + 1}, {system.name}, {work.name}")
        pictures = self._folder / "pictures"
        plan = self._plan
        figures = measure_load(server, plan.suite, work, plan.timing, number, pictures)
        self._record(Measurement(number, system.name, work.name, figures))

    def _run_vllm_bench(self, number: int, system: System, server: RunningServer) -> None:
        """Run vLLM's load tool; each round has another seed, so that no cache hits."""
        self._progress.set_description(f"round {number + 1}, {system.name}, vllm bench serve")
        folder = self._folder / f"crosscheck-{system.name}-{number + 1}"
        results = run_vllm_bench(
            server.chat_url,
            self._plan.model.name,
            self._plan.model.path,
            folder,
            seed=SEEDS[number % len(SEEDS)],
        )
        for name, figures in results.items():
            if not self.journal.has(number, system.name, name):
                self.journal.add(Measurement(number, system.name, name, figures))

    def _measure_engine(self, number: int) -> None:
        names = [
            name
            for name in self._plan.engine_workloads
            if not self.journal.has(number, ENGINE, name)
        ]
        if not names:
            return
        self._progress.set_description(f"round {number + 1}, the engine alone")
        plan = self._plan
        for name, figures in measure_engine(
            names, plan.model, plan.suite, plan.timing, eager=plan.eager
        ):
            self._record(Measurement(number, ENGINE, name, figures))

    def _record(self, measurement: Measurement) -> None:
        self.journal.add(measurement)
        rate = measurement.figures.get(RATE)
        rate_text = "" if rate is None else f"{rate:8.1f} req/s"
        self._progress.write(
            f"round {measurement.round + 1}  {measurement.system:6}  "
            f"{measurement.workload:12} {rate_text}"
        )
        self._progress.update()


def main(
    out: Annotated[Path, typer.Option(help="folder for results; a run cut off goes on in it")],
    quick: Annotated[bool, typer.Option("--quick", help="one short round")] = False,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="default: the suite's, with --quick 1")
    ] = None,
    only: Annotated[str, typer.Option(help="some workloads, with commas between them")] = "",
    eager: Annotated[
        bool, typer.Option("--eager", help="compile nowhere, as for shapes on a CPU")
    ] = False,
    peer_arguments: Annotated[str, typer.Option(help="further arguments of vLLM's server")] = "",
    shape: Annotated[str, typer.Option(help="a published checkpoint's, with random weights")] = "",
) -> None:
    """Measure this server, vLLM's own and the engine alone, and print the ratios."""
    on_gpu = has_gpu()
    described = _find_shape(shape) if shape else None
    suite = SUITES[described.suite] if described else TINY
    plan = Plan(
        rounds=rounds or (1 if quick else suite.rounds),
        timing=suite.quick if quick else suite.full,
        workloads=_select_workloads(only, suite, quick=quick),
        # On a CPU compiling takes vLLM minutes at each start.
        eager=eager or bool(shape and not on_gpu),
        with_vllm_bench=not (quick or only or shape),
        peer_arguments=tuple(shlex.split(peer_arguments)),
        model=replace(_write_model(described) if described else LLAVA_TINY, on_gpu=on_gpu),
        suite_name=suite.name,
    )
    out = out / shape
    started = time.monotonic()
    with tqdm(total=plan.num_measurements, unit="measurement", dynamic_ncols=True) as progress:
        run = Run(plan, out, progress)
        run.measure_all()
    measured = run.journal.measurements
    summary = summarise(measured, suite)
    write_results(out, summary, measured, describe_environment(plan.peer_arguments))
    (out / "results.md").write_text(render_markdown(summary), encoding="utf-8")
    print_report(summary)
    print(f"{out / 'results.json'}, .md and .png; {(time.monotonic() - started) / 60:.1f} minutes")


def _exit(number: int, _: object) -> NoReturn:
    """End as with Ctrl-C: a leftover server would keep the GPU's memory."""
    raise SystemExit(128 + number)


def _find_shape(name: str) -> Shape:
    if name not in SHAPES:
        raise typer.BadParameter(f"unknown: {name}; there are {list(SHAPES)}")
    return SHAPES[name]


def _write_model(shape: Shape) -> ServedModel:
    """Return the model of a shape; its checkpoint is written if it is missing."""
    return ServedModel(
        name=shape.name,
        path=write_on_fastest_device(shape, SHAPES_FOLDER),
        max_model_len=shape.max_model_len,
        max_num_seqs=shape.max_num_seqs,
        max_num_batched_tokens=shape.max_num_batched_tokens,
    )


def _measure_memory(server: RunningServer, when: str) -> dict[str, float]:
    """Return a server's memory, and the GPU's if there is one."""
    host = {f"{when}_mib": measure_memory_mib(server.pid)}
    gpu_mib = measure_gpu_memory_mib(list_pids(server.pid))
    return host if gpu_mib is None else host | {f"gpu_{when}_mib": gpu_mib}


def _select_workloads(only: str, suite: Suite = TINY, *, quick: bool) -> tuple[str, ...]:
    """Return the named workloads, or all; a quick run skips the streamed repeats."""
    requested = [name.strip() for name in only.split(",") if name.strip()]
    if unknown := set(requested) - set(suite.names):
        raise typer.BadParameter(f"unknown: {', '.join(sorted(unknown))}; there are {suite.names}")
    if requested:
        return tuple(name for name in suite.names if name in requested)
    return tuple(name for name in suite.names if not (quick and name.endswith(" streamed")))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _exit)
    typer.run(main)
