"""A model of an engine: continuous batching on one GPU, step by step."""

import heapq
import math
from collections import deque
from collections.abc import Callable, Generator
from itertools import count
from typing import Any

import simpy

from benchmarks.fleet.kv_cache import KvCache
from benchmarks.fleet.parameters import Parameters
from benchmarks.fleet.request import Request

Steps = Generator[simpy.Event, Any, None]


class Engine:
    """Encodes, prefills and decodes, first come first served.

    A step prefills what was admitted, up to `max_batched_tokens`, and decodes one token of each
    running sequence. Steps in which nothing changes are simulated as one; an arrival that fits ends
    them at the next step's end.
    """

    def __init__(
        self,
        env: simpy.Environment,
        parameters: Parameters,
        on_finished: Callable[[Request], None],
    ) -> None:
        self.kv_cache = KvCache(parameters.kv_cache_tokens)
        self.prefill_s = 0.0  # GPU time, with that of the tower
        self.decode_s = 0.0
        self.sequence_s = 0.0  # running sequences, integrated over decoding
        self._env = env
        self._parameters = parameters
        self._on_finished = on_finished
        self._waiting: deque[Request] = deque()
        self._running: list[tuple[int, int, Request]] = []  # a heap by the last step
        self._order = count()
        self._step = 0
        self._context_tokens = 0  # that a step of decoding reads
        self._idle: simpy.Event | None = None
        self._may_interrupt = False
        self._is_stopped = False
        self._process = env.process(self._run())

    @property
    def num_waiting(self) -> int:
        """Requests without room: `vllm:num_requests_waiting`.

        Those that only wait for the next step do not count, as in vLLM, which counts after a step
        is scheduled.
        """
        if not self._waiting or self._can_admit(self._waiting[0]):
            return 0
        return len(self._waiting)

    @property
    def num_running(self) -> int:
        """Sequences that decode: `vllm:num_requests_running`."""
        return len(self._running)

    def submit(self, request: Request) -> None:
        """Queue a request whose image is loaded."""
        self._waiting.append(request)
        if self._idle is not None:
            self._idle.succeed()
            self._idle = None
        elif self._may_interrupt and self._can_admit(self._waiting[0]):
            self._may_interrupt = False
            self._process.interrupt()

    def stop(self) -> None:
        """Drop everything: the node is lost."""
        self._is_stopped = True
        self._waiting.clear()
        self._running.clear()

    def _run(self) -> Steps:
        while not self._is_stopped:
            if admitted := self._admit():
                yield from self._prefill(admitted)
            elif self._running:
                yield from self._decode()
            else:
                self._idle = self._env.event()
                yield self._idle

    def _admit(self) -> list[Request]:
        """Take the requests that one step prefills from the queue."""
        admitted: list[Request] = []
        left = self._parameters.max_batched_tokens
        room = self._parameters.max_sequences - len(self._running)
        while self._waiting and len(admitted) < room and left > 0:
            request = self._waiting[0]
            if not self.kv_cache.fits(request):
                break
            request.cached_tokens = self.kv_cache.count_cached(request)
            left -= request.prompt_tokens - request.cached_tokens
            if left < 0 and admitted:
                break
            self.kv_cache.reserve(request)
            admitted.append(self._waiting.popleft())
        return admitted

    def _can_admit(self, request: Request) -> bool:
        has_place = len(self._running) < self._parameters.max_sequences
        return has_place and self.kv_cache.fits(request)

    def _prefill(self, admitted: list[Request]) -> Steps:
        work_s = sum(map(self._compute_prefill_s, admitted))
        step_s = self._compute_step_s(self._context_tokens) if self._running else 0.0
        yield self._env.timeout(work_s + step_s)
        if self._is_stopped:
            return
        self._account(work_s, step_s)
        self._advance(1)
        for request in admitted:
            self._start(request)
        self._retire()

    def _decode(self) -> Steps:
        steps = self._running[0][0] - self._step
        average_context = self._context_tokens + len(self._running) * steps / 2
        step_s = self._compute_step_s(average_context)
        started_s = self._env.now
        self._may_interrupt = True
        try:
            yield self._env.timeout(steps * step_s)
        except simpy.Interrupt:
            steps = min(steps, math.floor((self._env.now - started_s) / step_s) + 1)
            yield self._env.timeout(max(0.0, started_s + steps * step_s - self._env.now))
        self._may_interrupt = False
        if not self._is_stopped:
            self._account(0.0, steps * step_s)
            self._advance(steps)
            self._retire()

    def _compute_prefill_s(self, request: Request) -> float:
        is_new_image = request.image is not None and not request.is_image_cached
        encode_s = self._parameters.encode_s if is_new_image else 0.0
        new_tokens = request.prompt_tokens - request.cached_tokens
        return encode_s + new_tokens * self._parameters.prefill_s_per_token

    def _compute_step_s(self, context_tokens: float) -> float:
        return self._parameters.step_s + context_tokens * self._parameters.step_s_per_token

    def _account(self, prefill_s: float, decode_s: float) -> None:
        self.prefill_s += prefill_s
        self.decode_s += decode_s
        self.sequence_s += len(self._running) * decode_s

    def _advance(self, steps: int) -> None:
        self._step += steps
        self._context_tokens += steps * len(self._running)

    def _start(self, request: Request) -> None:
        """The prefill gave the first token."""
        request.first_token_s = self._env.now
        request.finish_step = self._step + request.answer_tokens - 1
        self._context_tokens += request.prompt_tokens + 1
        heapq.heappush(self._running, (request.finish_step, next(self._order), request))

    def _retire(self) -> None:
        while self._running and self._running[0][0] <= self._step:
            *_, request = heapq.heappop(self._running)
            self._context_tokens -= request.total_tokens
            self.kv_cache.release(request)
            self._on_finished(request)
