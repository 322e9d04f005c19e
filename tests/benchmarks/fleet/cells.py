"""Small cells and requests for tests of the simulation."""

from itertools import count

import simpy

from benchmarks.fleet.conversation import Header
from benchmarks.fleet.parameters import Parameters
from benchmarks.fleet.replica import Replica
from benchmarks.fleet.request import Request
from benchmarks.fleet.routers import Policy
from benchmarks.fleet.simulation import Setup, Simulation
from benchmarks.fleet.traffic import constant

# Few images are cached, so that starting is quick.
SMALL = Parameters(image_cache=100, images=2000)
NUMBERS = count()


def build_setup(
    rate: float,
    *,
    replicas: int = 4,
    seconds: float = 40.0,
    policy: Policy = Policy.BOUNDED_HASH,
    header: Header = Header.IMAGE,
    parameters: Parameters = SMALL,
    seed: int = 0,
) -> Setup:
    """Build a small cell under `rate` requests per second for each replica."""
    load = constant(rate * replicas)
    return Setup(parameters, replicas, load, seconds, 10.0, policy, header, seed)


def simulate(rate: float, **options: object) -> Simulation:
    """Run a small cell."""
    return Simulation(build_setup(rate, **options)).run()  # type: ignore[arg-type]


def build_request(
    image: int | None = None, *, affinity: str | None = None, answer: int = 100, prompt: int = 640
) -> Request:
    """Build the first question of a conversation."""
    prefix = 611 if image is not None else 0
    return Request(next(NUMBERS), image, prefix, prompt, answer, affinity)


def build_replicas(number: int, env: simpy.Environment, **changes: object) -> list[Replica]:
    """Build replicas that no router knows."""
    parameters = Parameters.model_validate(changes)
    return [Replica(env, slot, parameters) for slot in range(number)]
