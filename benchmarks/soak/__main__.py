"""`python -m benchmarks.soak`: mixed traffic and faults for a while, then a verdict."""

import asyncio
import random
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from benchmarks.environment import describe_environment
from benchmarks.images import PngImages
from benchmarks.soak.client import RECONNECT_S, SoakClient
from benchmarks.soak.faults import FaultInjector, plan_faults
from benchmarks.soak.image_host import ImageHost
from benchmarks.soak.report import write_soak_report
from benchmarks.soak.requests import RequestFactory
from benchmarks.soak.server import API_KEYS, SoakedServer
from benchmarks.soak.timeline import GOOD_OUTCOMES, Timeline
from benchmarks.soak.verdict import Ending, find_reasons

IMAGE_PX: Final = 336
# Fewest seconds between faults; a soak of hours has more faults, up to a maximum.
FAULT_INTERVAL_S: Final = 20.0
MAX_FAULTS: Final = 400
SAMPLE_S: Final = 5.0
# The fewest samples of a soak, however short it is.
NUM_SAMPLES: Final = 50
# After this share of the time no fault restarts the server, so that growth can be judged.
LAST_RESTART: Final = 0.6
# Time without faults at the end, after which all resources should have been released.
SETTLE_S: Final = 10.0
MAX_PAUSE_S: Final = 0.3


class Soak:
    """One soak: clients, faults and samples side by side, until the time is over."""

    def __init__(self, server: SoakedServer, host: ImageHost, seconds: float, seed: int) -> None:
        self.timeline = Timeline(seconds)
        self._server = server
        self._seconds = seconds
        self._seed = seed
        self._pauses = random.Random(seed)  # noqa: S311 - spreads load
        self._factory = RequestFactory(seed, PngImages(IMAGE_PX), host)
        self._old_clients: list[SoakClient] = []
        self._clients = self._connect()
        self._injector = FaultInjector(
            server, host, self._factory, self.timeline, lambda: self._clients, self._reconnect
        )

    async def run(self, num_clients: int, *, with_restarts: bool) -> Ending:
        """Run everything; return the server's state at the end."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(num_clients):
                tasks.create_task(self._send_requests())
            tasks.create_task(self._inject_faults(with_restarts=with_restarts))
            tasks.create_task(self._take_samples())
        return await self._end()

    @property
    def _is_over(self) -> bool:
        return self.timeline.now_s >= self._seconds

    async def _send_requests(self) -> None:
        while not self._is_over:
            outcome = await self._clients[0].send(self._factory.draw())
            pause_s = self._pauses.uniform(0, MAX_PAUSE_S)
            await asyncio.sleep(pause_s if outcome in GOOD_OUTCOMES else pause_s + RECONNECT_S)

    async def _inject_faults(self, *, with_restarts: bool) -> None:
        kinds = self._injector.list_kinds(with_restarts=with_restarts)
        count = min(MAX_FAULTS, int(self._seconds / FAULT_INTERVAL_S))
        interval_s = self._seconds / (count + 1)
        for number, kind in enumerate(plan_faults(kinds, count, self._seed), start=1):
            await asyncio.sleep(max(0.0, number * interval_s - self.timeline.now_s))
            if self._is_over:
                return
            if kind.restarts and self.timeline.now_s > LAST_RESTART * self._seconds:
                continue
            fault = await self._injector.run(kind)
            print(f"{fault.start_s:6.0f} s  {fault.name}: {_describe(fault.recovery_s)}")

    async def _take_samples(self) -> None:
        while not self._is_over:
            await asyncio.to_thread(self._server.measure, self.timeline)
            await asyncio.sleep(min(SAMPLE_S, self._seconds / NUM_SAMPLES))

    async def _end(self) -> Ending:
        await asyncio.sleep(SETTLE_S)
        permits = await self._clients[0].read_metric("llava:num_requests_running")
        for client in (*self._clients, *self._old_clients):
            await client.close()
        return Ending(await self._server.stop(), permits)

    def _reconnect(self) -> None:
        self._old_clients += self._clients  # some requests still wait
        self._clients = self._connect()

    def _connect(self) -> tuple[SoakClient, SoakClient]:
        url = self._server.running.url
        polite, flooding = (SoakClient(url, key, self.timeline) for key in API_KEYS)
        return polite, flooding


def _describe(recovery_s: float | None) -> str:
    return "NO RECOVERY" if recovery_s is None else f"recovered after {recovery_s:.1f} s"


async def run_soak(
    server: SoakedServer, seconds: float, seed: int, clients: int, *, with_restarts: bool
) -> tuple[Timeline, Ending]:
    """Soak a server that is ready, and end it."""
    async with ImageHost(PngImages(IMAGE_PX)) as host:
        soak = Soak(server, host, seconds, seed)
        return soak.timeline, await soak.run(clients, with_restarts=with_restarts)


def main(
    out: Annotated[Path, typer.Option(help="folder of the report and the server's log")],
    seconds: Annotated[float, typer.Option(min=10, help="how long")] = 600,
    seed: Annotated[int, typer.Option(help="of requests and faults")] = 0,
    clients: Annotated[int, typer.Option(min=1, max=1000, help="requests at once")] = 12,
    restart: Annotated[
        bool, typer.Option("--restart", help="also faults that end the server, and restart it")
    ] = False,
    eager: Annotated[bool, typer.Option("--eager", help="compile the model nowhere")] = False,
) -> None:
    """Soak the server with requests and faults; exit with 1 where it breaks a promise."""
    out.mkdir(parents=True, exist_ok=True)
    with SoakedServer(out / "server.log", eager=eager) as server:
        timeline, ending = asyncio.run(
            run_soak(server, seconds, seed, clients, with_restarts=restart)
        )
    reasons = find_reasons(timeline, ending)
    settings = {"seconds": f"{seconds:g}", "seed": str(seed), "clients": str(clients)}
    print(write_soak_report(out, timeline, reasons, settings | describe_environment(())))
    raise typer.Exit(1 if reasons else 0)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        typer.run(main)
