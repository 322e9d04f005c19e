"""A cell: a router and its replicas, which come, go and die."""

from collections.abc import Callable
from itertools import count

import simpy

from benchmarks.fleet.engine import Steps
from benchmarks.fleet.parameters import Parameters
from benchmarks.fleet.replica import Replica, State
from benchmarks.fleet.request import Outcome, Request
from benchmarks.fleet.routers import Router


class Cell:
    """Sends requests to replicas in rotation. Slots of lost replicas are reused."""

    def __init__(
        self, env: simpy.Environment, router: Router, parameters: Parameters, replicas: int
    ) -> None:
        self.env = env
        self.parameters = parameters
        self.rotation: list[Replica] = []
        self.num_starting = 0
        self._router = router
        for _ in range(replicas):
            self._add(self._find_slot())

    def serve(self, request: Request) -> Steps:
        """Route a request and wait until it has ended."""
        request.arrived_s = self.env.now
        replica = self._router.choose(request)
        while replica is not None and replica.state is State.LOST:
            yield from self._fail_to_connect(replica)
            replica = self._choose_alive(request)
        if replica is None:
            request.end(Outcome.NO_REPLICA, self.env.now)
        else:
            yield replica.submit(request)

    def start_replica(self, start_s: float) -> Steps:
        """Start a replica; it is in rotation after `start_s`."""
        self.num_starting += 1
        yield self.env.timeout(start_s)
        self.num_starting -= 1
        self._add(self._find_slot())

    def drain_replica(self, replica: Replica) -> Steps:
        """Take a replica out of rotation and wait for its last answer."""
        self._remove(replica)
        replica.drain()
        yield replica.drained

    def lose_replica(self, replica: Replica) -> Steps:
        """Lose a node; the router notices after `detect_s`."""
        replica.lose()
        yield self.env.timeout(self.parameters.detect_s)
        self._remove(replica)

    def average(self, measure: Callable[[Replica], float]) -> float:
        """Return the average of a figure over the serving replicas."""
        alive = [replica for replica in self.rotation if replica.state is State.READY]
        return sum(map(measure, alive)) / len(alive) if alive else 0.0

    def choose(self, request: Request) -> Replica | None:
        """Return where a request would go now."""
        return self._router.choose(request)

    def _fail_to_connect(self, replica: Replica) -> Steps:
        """Wait for a connection that will not come; meanwhile it counts as the replica's load."""
        replica.num_requests += 1
        yield self.env.timeout(self.parameters.connect_timeout_s)
        replica.num_requests -= 1

    def _choose_alive(self, request: Request) -> Replica | None:
        """Choose again, as a router redispatches an unanswered request."""
        alive = [replica for replica in self.rotation if replica.state is not State.LOST]
        self._router.set_rotation(alive)
        try:
            return self._router.choose(request)
        finally:
            self._router.set_rotation(self.rotation)

    def _add(self, slot: int) -> None:
        self.rotation.append(Replica(self.env, slot, self.parameters))
        self._router.set_rotation(self.rotation)

    def _remove(self, replica: Replica) -> None:
        self.rotation.remove(replica)
        self._router.set_rotation(self.rotation)

    def _find_slot(self) -> int:
        used = {replica.slot for replica in self.rotation}
        return next(slot for slot in count() if slot not in used)
