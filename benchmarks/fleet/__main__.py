"""`python -m benchmarks.fleet`: simulate a cell of replicas, and write tables and charts."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from benchmarks.fleet.parameters import load_parameters
from benchmarks.fleet.part import Part
from benchmarks.fleet.report import write_fleet_report
from benchmarks.fleet.scenarios import (
    affinity,
    autoscaling,
    capacity,
    hot_images,
    lost_node,
    updating,
)
from benchmarks.fleet.simulation import Setup
from benchmarks.fleet.sizes import build_sizes
from benchmarks.fleet.traffic import constant

SCENARIOS: Final[Mapping[str, Callable[[Setup], Part]]] = {
    "sizes": build_sizes,
    "capacity": capacity.simulate,
    "affinity": affinity.simulate,
    "hot-images": hot_images.simulate,
    "lost-node": lost_node.simulate,
    "autoscaling": autoscaling.simulate,
    "rolling-update": updating.simulate,
}
MIN_WARM_UP_S: Final = 30.0
WARM_UP_SHARE: Final = 0.25  # of a longer time


def main(
    out: Annotated[Path, typer.Option(help="folder for the report")],
    replicas: Annotated[int, typer.Option(min=2, help="of the cell")] = 12,
    seconds: Annotated[
        float, typer.Option(min=2 * MIN_WARM_UP_S, help="simulated time of steady loads")
    ] = 70.0,
    seed: Annotated[int, typer.Option(help="of all random numbers")] = 0,
    only: Annotated[str, typer.Option(help="some scenarios, with commas between them")] = "",
    parameters: Annotated[
        Path | None, typer.Option(help="TOML file with figures of your own")
    ] = None,
) -> None:
    """Simulate a cell of replicas: routing, hot images, faults, scaling, updates."""
    try:
        loaded = load_parameters(parameters)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="--parameters") from None
    warm_up_s = max(MIN_WARM_UP_S, WARM_UP_SHARE * seconds)
    base = Setup(loaded, replicas, constant(1.0), seconds, warm_up_s, seed=seed)
    started = time.monotonic()
    parts = [_simulate(name, base) for name in _select(only)]
    conditions = {
        "replicas": replicas,
        "seconds": seconds,
        "seed": seed,
        "parameters": loaded.model_dump(),
    }
    print(write_fleet_report(out, parts, conditions))
    print(f"{out / 'fleet.md'}, .json and charts; {time.monotonic() - started:.0f} s")


def _simulate(name: str, base: Setup) -> Part:
    started = time.monotonic()
    part = SCENARIOS[name](base)
    print(f"{name}: {time.monotonic() - started:.1f} s", flush=True)
    return part


def _select(requested: str) -> list[str]:
    """Return the named scenarios, or all."""
    chosen = {name.strip() for name in requested.split(",") if name.strip()}
    if unknown := chosen - SCENARIOS.keys():
        raise typer.BadParameter(
            f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}",
            param_hint="--only",
        )
    return [name for name in SCENARIOS if not chosen or name in chosen]


if __name__ == "__main__":
    typer.run(main)
