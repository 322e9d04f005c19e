"""A replica: the server's limits and image cache in front of an engine."""

from collections import OrderedDict
from enum import StrEnum

import simpy
from cachetools import LRUCache

from benchmarks.fleet.engine import Engine
from benchmarks.fleet.parameters import Parameters
from benchmarks.fleet.request import Outcome, Request


class State(StrEnum):
    """The state of a replica; routers mean to send requests to ready ones only."""

    READY = "ready"
    DRAINING = "draining"
    LOST = "lost"


class Replica:
    """One server with its engine. `slot` is its place on the router's ring."""

    def __init__(self, env: simpy.Environment, slot: int, parameters: Parameters) -> None:
        self.slot = slot
        self.state = State.READY
        self.images: LRUCache[int, bool] = LRUCache(parameters.image_cache)
        self.engine = Engine(env, parameters, self._finish)
        self.drained = env.event()
        self.num_requests = 0  # as routers count them: in flight, and those that find no connection
        self._env = env
        self._parameters = parameters
        self._in_flight: dict[Request, simpy.Event] = {}
        self._queue: OrderedDict[Request, None] = OrderedDict()  # those without a permit

    def submit(self, request: Request) -> simpy.Event:
        """Accept or refuse a request; the event succeeds when it has ended."""
        ended = self._in_flight[request] = self._env.event()
        self.num_requests += 1
        if len(self._in_flight) - len(self._queue) <= self._parameters.permits:
            self._load_image(request)
        elif len(self._queue) < self._parameters.queue:
            self._wait(request)
        else:
            self._end(request, Outcome.REFUSED)
        return ended

    def drain(self) -> None:
        """Accept no more requests; `drained` succeeds with the last answer."""
        self.state = State.DRAINING
        self._note_drained()

    def lose(self) -> None:
        """The node is lost: abort the requests in flight."""
        self.state = State.LOST
        self.engine.stop()
        self._queue.clear()
        for request in list(self._in_flight):
            self._end(request, Outcome.FAILED)

    def _wait(self, request: Request) -> None:
        """Queue a request for a permit, for `max_queue_s` at most."""
        self._queue[request] = None
        over = self._env.timeout(self._parameters.max_queue_s)
        over.callbacks.append(lambda _: self._refuse(request))

    def _refuse(self, request: Request) -> None:
        if request in self._queue:
            del self._queue[request]
            self._end(request, Outcome.REFUSED)

    def _load_image(self, request: Request) -> None:
        """Fetch and decode an image that is not in the cache, then go on to the engine."""
        if request.image is None:
            self.engine.submit(request)
            return
        request.is_image_cached = self.images.get(request.image, False)
        if request.is_image_cached:
            self.engine.submit(request)
        else:
            loaded = self._env.timeout(self._parameters.image_load_s)
            loaded.callbacks.append(lambda _: self._submit_loaded(request))

    def _submit_loaded(self, request: Request) -> None:
        if self.state is not State.LOST and request.image is not None:
            self.images[request.image] = True
            self.engine.submit(request)

    def _finish(self, request: Request) -> None:
        self._end(request, Outcome.COMPLETED)
        if self._queue:
            self._load_image(self._queue.popitem(last=False)[0])
        self._note_drained()

    def _end(self, request: Request, outcome: Outcome) -> None:
        self.num_requests -= 1
        request.end(outcome, self._env.now)
        self._in_flight.pop(request).succeed()

    def _note_drained(self) -> None:
        if self.state is State.DRAINING and not self._in_flight and not self.drained.triggered:
            self.drained.succeed()
