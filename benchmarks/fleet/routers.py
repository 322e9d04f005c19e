"""Routing policies: which replica gets a request."""

import math
import random
from collections.abc import Sequence
from enum import StrEnum
from itertools import count
from typing import Protocol

from benchmarks.fleet.hash_ring import HashRing
from benchmarks.fleet.parameters import Parameters
from benchmarks.fleet.replica import Replica
from benchmarks.fleet.request import Request


class Policy(StrEnum):
    """The policies by name."""

    ROUND_ROBIN = "round robin"
    LEAST_REQUESTS = "least requests"
    TWO_CHOICES = "two choices"
    HASH = "hash"
    BOUNDED_HASH = "bounded hash"


class Router(Protocol):
    """Chooses among the replicas in rotation."""

    def set_rotation(self, replicas: Sequence[Replica]) -> None:
        """Route to these from now on."""

    def choose(self, request: Request) -> Replica | None:
        """Return the replica for a request; None if there is none."""


class _Rotation:
    """The replicas that take requests."""

    def __init__(self) -> None:
        self._replicas: Sequence[Replica] = ()

    def set_rotation(self, replicas: Sequence[Replica]) -> None:
        """Route to these from now on."""
        self._replicas = tuple(replicas)


class RoundRobin(_Rotation):
    """One after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._turns = count()

    def choose(self, request: Request) -> Replica | None:  # noqa: ARG002 - as the protocol
        """Return the next replica."""
        if not self._replicas:
            return None
        return self._replicas[next(self._turns) % len(self._replicas)]


class LeastRequests(_Rotation):
    """The replica with the fewest requests in flight; among equals a random one."""

    def __init__(self, generator: random.Random) -> None:
        super().__init__()
        self._generator = generator

    def choose(self, request: Request) -> Replica | None:  # noqa: ARG002 - as the protocol
        """Return a replica with the fewest requests."""
        if not self._replicas:
            return None
        least = min(replica.num_requests for replica in self._replicas)
        return self._generator.choice([r for r in self._replicas if r.num_requests == least])


class TwoChoices(_Rotation):
    """The better of two random replicas: nearly as even as least requests, without checking all."""

    def __init__(self, generator: random.Random) -> None:
        super().__init__()
        self._generator = generator

    def choose(self, request: Request) -> Replica | None:  # noqa: ARG002 - as the protocol
        """Return the one of two with fewer requests."""
        if not self._replicas:
            return None
        pair = (self._generator.choice(self._replicas), self._generator.choice(self._replicas))
        return min(pair, key=lambda replica: replica.num_requests)


class ConsistentHash(_Rotation):
    """The owner of the request's affinity; least requests without one.

    With `max_load_factor`, a replica takes at most that times the average of requests in flight;
    more requests go to the next ones on the ring (Mirrokni, Thorup, Zadimoghaddam: Consistent
    Hashing with Bounded Loads, arXiv 1608.01350; HAProxy's `hash-balance-factor`).
    """

    def __init__(
        self, others: LeastRequests, virtual_nodes: int, max_load_factor: float | None = None
    ) -> None:
        super().__init__()
        self._others = others
        self._virtual_nodes = virtual_nodes
        self._max_load_factor = max_load_factor
        self._ring = HashRing((), virtual_nodes)

    def set_rotation(self, replicas: Sequence[Replica]) -> None:
        """Route to these from now on."""
        super().set_rotation(replicas)
        self._others.set_rotation(replicas)
        self._ring = HashRing(replicas, self._virtual_nodes)

    def choose(self, request: Request) -> Replica | None:
        """Return the owner, or the next on the ring that is below the bound."""
        if request.affinity is None or not self._replicas:
            return self._others.choose(request)
        if self._max_load_factor is None:
            return self._ring.find(request.affinity)
        bound = self.compute_bound()
        return self._ring.find(request.affinity, lambda replica: replica.num_requests < bound)

    def compute_bound(self) -> int:
        """Return the most requests that a replica may have when the next one is placed."""
        in_flight = sum(replica.num_requests for replica in self._replicas) + 1
        return math.ceil((self._max_load_factor or math.inf) * in_flight / len(self._replicas))


def build_router(policy: Policy, parameters: Parameters, generator: random.Random) -> Router:
    """Return the router of a policy."""
    least = LeastRequests(generator)
    nodes = parameters.virtual_nodes
    match policy:
        case Policy.ROUND_ROBIN:
            return RoundRobin()
        case Policy.LEAST_REQUESTS:
            return least
        case Policy.TWO_CHOICES:
            return TwoChoices(generator)
        case Policy.HASH:
            return ConsistentHash(least, nodes)
        case Policy.BOUNDED_HASH:
            return ConsistentHash(least, nodes, parameters.max_load_factor)
