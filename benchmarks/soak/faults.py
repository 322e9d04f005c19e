"""The faults of a soak: each is injected into the server, and a probe shows its recovery."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from signal import SIGHUP, SIGKILL, SIGSTOP, Signals
from typing import Final
from urllib.parse import urlsplit

from benchmarks.soak.client import SoakClient
from benchmarks.soak.image_host import RESET, ImageHost, Mood
from benchmarks.soak.requests import RequestFactory, SoakRequest
from benchmarks.soak.server import DECODE, GRAMMAR, SoakedServer, send_signal
from benchmarks.soak.timeline import Fault, Timeline

HOST_FAULT_S: Final = 5.0
NUM_RESETS: Final = 100
NUM_FLOODED: Final = 150
PROBE_INTERVAL_S: Final = 0.25
HEAD: Final = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: soak\r\nauthorization: Bearer polite-key\r\n"
    b'content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"model": '
)


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A fault: its cause, and the request that must be answered again within a time limit."""

    name: str
    inject: Callable[[], Awaitable[None]]
    build_probe: Callable[[], SoakRequest]
    limit_s: float
    restarts: bool = False


class FaultInjector:
    """Injects one fault after the other and measures how long the server takes to recover."""

    def __init__(
        self,
        server: SoakedServer,
        host: ImageHost,
        factory: RequestFactory,
        timeline: Timeline,
        clients: Callable[[], tuple[SoakClient, SoakClient]],
        reconnect: Callable[[], None],
    ) -> None:
        """`clients` returns the polite and the flooding client; `reconnect` replaces both."""
        self._server = server
        self._host = host
        self._factory = factory
        self._timeline = timeline
        self._clients = clients
        self._reconnect = reconnect

    def list_kinds(self, *, with_restarts: bool) -> list[FaultKind]:
        """Return the kinds of faults; some end the server, so that it has to be restarted."""
        image, text = self._factory.build_image, self._factory.build_text
        schema, hosted = self._factory.build_schema, self._factory.build_hosted_image
        kinds = [
            FaultKind("decode workers killed", self._signal(DECODE, SIGKILL), image, 15),
            FaultKind("decode workers stopped", self._signal(DECODE, SIGSTOP), image, 20),
            FaultKind("grammar worker killed", self._signal(GRAMMAR, SIGKILL), schema, 15),
            FaultKind("grammar worker stopped", self._signal(GRAMMAR, SIGSTOP), schema, 20),
            FaultKind("image host down", self._break_host(Mood.DOWN), hosted, 10),
            FaultKind("image host slow", self._break_host(Mood.SLOW), hosted, 10),
            FaultKind("image host resets", self._break_host(Mood.RESETTING), hosted, 10),
            FaultKind("clients reset connections", self._reset_connections, text, 10),
            FaultKind("flood by another key", self._flood, text, 20),
            FaultKind("SIGHUP to all children", self._hang_up, image, 10),
        ]
        if with_restarts:
            kinds += [
                FaultKind("engine killed", self._signal_engine(SIGKILL), text, 120, restarts=True),
                FaultKind("engine stopped", self._signal_engine(SIGSTOP), text, 150, restarts=True),
                FaultKind("server killed", self._kill_server, text, 120, restarts=True),
            ]
        return kinds

    async def run(self, kind: FaultKind) -> Fault:
        """Inject a fault; wait until its probe is answered or its time limit has passed."""
        fault = Fault(kind.name, self._timeline.now_s)
        self._timeline.faults.append(fault)
        async with self._expect_outage(kind):
            await kind.inject()
            fault.end_s = self._timeline.now_s
            if kind.restarts:
                await self._server.wait_for_exit()
                await asyncio.to_thread(self._server.start)
                self._timeline.restarted_s = self._timeline.now_s
                self._reconnect()
            fault.recovery_s = await self._measure_recovery(kind, fault.end_s)
        return fault

    async def _measure_recovery(self, kind: FaultKind, end_s: float) -> float | None:
        while self._timeline.now_s < end_s + kind.limit_s:
            polite, _ = self._clients()
            if await polite.probe(kind.build_probe()):
                return self._timeline.now_s - end_s
            await asyncio.sleep(PROBE_INTERVAL_S)
        return None

    @asynccontextmanager
    async def _expect_outage(self, kind: FaultKind) -> AsyncIterator[None]:
        if not kind.restarts:
            yield
            return
        with self._timeline.outage():
            yield

    def _signal(self, library: str, sent: Signals) -> Callable[[], Awaitable[None]]:
        async def inject() -> None:
            send_signal(self._server.find_workers(library), sent)

        return inject

    def _signal_engine(self, sent: Signals) -> Callable[[], Awaitable[None]]:
        async def inject() -> None:
            send_signal(self._server.find_engine(), sent)

        return inject

    async def _kill_server(self) -> None:
        send_signal([self._server.running.pid], SIGKILL)

    async def _hang_up(self) -> None:
        send_signal(self._server.list_children(), SIGHUP)

    def _break_host(self, mood: Mood) -> Callable[[], Awaitable[None]]:
        return partial(self._change_host, mood)

    async def _change_host(self, mood: Mood) -> None:
        await self._host.change(mood)
        await asyncio.sleep(HOST_FAULT_S)
        await self._host.change(Mood.GOOD)

    async def _reset_connections(self) -> None:
        """Send half a request on many connections, then reset them."""
        address = urlsplit(self._server.running.url)
        for _ in range(NUM_RESETS):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(HEAD)
            await writer.drain()
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.close()

    async def _flood(self) -> None:
        _, flooding = self._clients()
        requests = [self._factory.draw() for _ in range(NUM_FLOODED)]
        await asyncio.gather(*(flooding.send(request) for request in requests))


def plan_faults(kinds: list[FaultKind], count: int, seed: int) -> list[FaultKind]:
    """Return `count` faults in a seeded order; every kind comes once before any repeats."""
    shuffled = random.Random(seed)  # noqa: S311 - draws faults
    planned: list[FaultKind] = []
    while len(planned) < count:
        planned += shuffled.sample(kinds, len(kinds))
    return planned[:count]
