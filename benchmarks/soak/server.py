"""The server under soak: started, watched, killed, and restarted if requested."""

import asyncio
import os
import signal
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

import psutil

from benchmarks.soak.timeline import Resources, Timeline
from benchmarks.systems import OURS, RunningServer, run_system
from benchmarks.usage import MIB, measure_memory_mib

API_KEYS: Final = ("polite-key", "flooding-key")
OPTIONS: Final = (
    *("--api-keys", ",".join(API_KEYS)),
    *("--fetch-allow-networks", "127.0.0.0/8"),
    *("--fetch-allow-ports", "any"),
    *("--fetch-timeout-s", "3"),
    *("--engine-stall-timeout-s", "10"),
    *("--decode-workers", "2"),
)
SYSTEM: Final = replace(OURS, options=(*OURS.options, *OPTIONS))
EXIT_TIMEOUT_S: Final = 60.0
# Libraries that identify a kind of worker, which alone loads them.
DECODE: Final = "_imaging."
GRAMMAR: Final = "llguidance"


class SoakedServer:
    """The server's process, as a supervisor sees it."""

    def __init__(self, log: Path, *, eager: bool) -> None:
        self._log = log
        self._eager = eager
        self._stack = ExitStack()
        self.running: RunningServer

    def __enter__(self) -> Self:
        """Start the server and wait until it is ready."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End all its processes."""
        self._stack.close()

    def start(self) -> None:
        """Start the server on another port, in place of one that has ended."""
        self._stack.close()
        run = run_system(SYSTEM, self._log, eager=self._eager)
        self.running = self._stack.enter_context(run)

    def find_workers(self, library: str) -> list[int]:
        """Return the worker processes that have loaded a library."""
        return [
            process.pid
            for process in self._list_children()
            if "spawn_main" in _read(process.pid, "cmdline")
            and library in _read(process.pid, "maps")
        ]

    def find_engine(self) -> list[int]:
        """Return the engine's process."""
        return [
            process.pid
            for process in self._list_children()
            if "EngineCore" in _read(process.pid, "cmdline")
        ]

    def list_children(self) -> list[int]:
        """Return all processes below the server."""
        return [process.pid for process in self._list_children()]

    async def wait_for_exit(self) -> int:
        """Return the exit code once the server has ended by itself."""
        process = psutil.Process(self.running.pid)
        return int(await asyncio.to_thread(process.wait, EXIT_TIMEOUT_S) or 0)

    async def stop(self) -> int:
        """End the server as an operator would. Return its exit code."""
        os.kill(self.running.pid, signal.SIGTERM)
        return await self.wait_for_exit()

    def measure(self, timeline: Timeline) -> None:
        """Add the server's resources to the timeline, if it runs."""
        with suppress(psutil.Error):
            process = psutil.Process(self.running.pid)
            timeline.resources.append(
                Resources(
                    timeline.now_s,
                    process.memory_info().rss / MIB,
                    measure_memory_mib(self.running.pid),
                    process.num_fds(),
                    process.num_threads(),
                    1 + len(process.children(recursive=True)),
                )
            )

    def _list_children(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.running.pid).children(recursive=True)
        return []


def send_signal(pids: list[int], sent: signal.Signals) -> None:
    """Signal processes; those that have ended meanwhile are left out."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, sent)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""
