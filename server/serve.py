"""Runs the application under uvicorn: socket, signals, draining, exit code."""

import asyncio
import ctypes
import resource
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress
from types import FrameType
from typing import Any, Final

import uvicorn

from model_store.errors import StoreError
from model_store.resolve import resolve_model
from server.api.browsers.hosts import KnownHosts
from server.api.browsers.outermost import add_outermost
from server.api.edge.protocol import build_protocol_class
from server.api.key_required import OPEN_PATHS, PROBE_PATHS
from server.api.requests_in_flight import RequestsInFlight
from server.api.runtime import Runtime
from server.api.timelines import TimingOptions, add_timelines
from server.app import build_connection_limits, create_app
from server.banner import format_ready_banner
from server.checkpoint.config import Checkpoint, CheckpointError, read_checkpoint
from server.keys.configured import read_key_ring
from server.keys.errors import KeysFileError
from server.keys.key_ring import KeyRing
from server.lifecycle import Lifecycle
from server.listening import format_url, is_loopback, listen
from server.settings import Settings
from server.telemetry.logs import configure_logs, get_logger
from server.telemetry.refusal_log import RefusalLog
from server.telemetry.refusals import Refusals
from server.telemetry.usage_file import UsageFile
from server.tls import build_tls_options

log = get_logger(__name__)

# How long clients may take to read the rest of their responses, once the server has drained.
SHUTDOWN_TIMEOUT_S: Final = 5
# The same where the server exits at once: after a failure, a second signal, or a drain too long.
ABRUPT_SHUTDOWN_TIMEOUT_S: Final = 0.25
# How long the requests in flight may take to see that the server exits.
ANSWER_TIMEOUT_S: Final = 0.25
# Seconds between two checks whether all connections are closed.
CLOSE_INTERVAL_S: Final = 0.05
# From <malloc.h>.
M_ARENA_MAX = -8
ARENAS = 2


class Server(uvicorn.Server):
    """uvicorn that drains: after a signal it listens until requests in flight are done."""

    def __init__(
        self, config: uvicorn.Config, runtime: Runtime, requests: RequestsInFlight
    ) -> None:
        super().__init__(config)
        self._runtime = runtime
        self._lifecycle = runtime.lifecycle
        self._requests = requests

    def handle_exit(self, _signal: int, _frame: FrameType | None) -> None:
        """Begin to drain; a second signal ends the drain at once.

        Replaces uvicorn's handler, which would raise the signal again at the end: the exit code
        is ours.
        """
        self._lifecycle.drain()

    async def on_tick(self, counter: int) -> bool:
        """Return whether to exit; uvicorn asks ten times a second."""
        held = self._runtime.admission.held
        return await super().on_tick(counter) or self._lifecycle.should_exit(held)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer the requests in flight and close the connections, then end the application."""
        if self._requests:
            await self._answer_requests()
        await self._close_connections()
        await super().shutdown(sockets)

    async def _answer_requests(self) -> None:
        """End the requests in flight: with 503, or with an event where a stream has begun."""
        error = self._lifecycle.build_exit_error()
        self._runtime.admission.refuse_waiting()
        if self._runtime.pipeline is not None:
            self._runtime.pipeline.fail_all(error)
        await self._requests.wait(ANSWER_TIMEOUT_S)
        await self._requests.end(error, ANSWER_TIMEOUT_S)

    async def _close_connections(self) -> None:
        """Close the connections; abort those whose client does not read in time.

        uvicorn would wait longer, then cancel the requests and log a traceback for each.
        """
        for listener in self.servers:
            listener.close()
        connections = self.server_state.connections
        for connection in list(connections):
            connection.shutdown()
        started = time.monotonic()
        while (  # noqa: ASYNC110 - uvicorn offers no event for it
            connections and time.monotonic() < started + self._shutdown_timeout_s()
        ):
            await asyncio.sleep(CLOSE_INTERVAL_S)
        for connection in list(connections):
            connection.transport.abort()

    def _shutdown_timeout_s(self) -> float:
        """Return the time that clients have to read; a signal may cut it while it passes."""
        return ABRUPT_SHUTDOWN_TIMEOUT_S if self._lifecycle.is_overdue else SHUTDOWN_TIMEOUT_S


def serve(settings: Settings) -> int:
    """Serve until stopped. Returns the exit code; prints start errors to stderr."""
    configure_logs(settings.log_level, settings.log_format)
    _limit_arenas()
    _raise_file_limit()
    with ExitStack() as stack:
        try:
            tls = build_tls_options(settings)
            keys = read_key_ring(settings)
            usage_file = None if settings.usage_log is None else UsageFile(settings.usage_log)
            listener = stack.enter_context(listen(settings.host, settings.port, settings.uds))
            checkpoint = _read_model(settings.model)
        except (StoreError, CheckpointError, KeysFileError, OSError) as error:
            print(f"llava-server cannot start: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            log.info("stopped while the model was pulled; the next start goes on from there")
            return 0
        return _run(settings, checkpoint, listener, tls, keys, usage_file)


def _run(
    settings: Settings,
    checkpoint: Checkpoint,
    listener: socket.socket,
    tls: dict[str, Any],
    keys: KeyRing,
    usage_file: UsageFile | None,
) -> int:
    """Serve on a bound socket until stopped. Returns the exit code."""
    lifecycle = Lifecycle(settings.drain_timeout_s)
    url = format_url(listener, is_tls=bool(tls), root_path=settings.root_path)

    def announce(model_name: str) -> None:
        _log_open_paths(settings)
        print(format_ready_banner(url, model_name, needs_key=settings.needs_key), flush=True)

    app = create_app(settings, checkpoint, lifecycle, announce, keys, usage_file)
    runtime: Runtime = app.state.runtime
    timing = TimingOptions(runtime.tracing, settings.server_timing, settings.cors_allow_origins)
    requests = RequestsInFlight(app)
    hosts = KnownHosts(
        settings.allowed_hosts,
        bool(settings.allowed_hosts) or is_loopback(listener),
        settings.host.lower(),
    )
    config = uvicorn.Config(
        add_timelines(
            add_outermost(requests, hosts, settings.cors_allow_origins, runtime.refusals),
            app.routes,
            timing,
        ),
        http=build_protocol_class(
            build_connection_limits(settings),
            runtime.connections,
            Refusals(runtime.metrics.connections_refused, RefusalLog()),
            settings.cors_allow_origins,
        ),
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Whoever reaches the server could name any address as its own.
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
        root_path=settings.root_path,
        **tls,
    )
    Server(config, runtime, requests).run(sockets=[listener])
    if runtime.tracing is not None:
        runtime.tracing.close()
    return lifecycle.exit_code


def _log_open_paths(settings: Settings) -> None:
    """Say what needs no key, where there are keys."""
    if settings.needs_key:
        paths = PROBE_PATHS if settings.protect_all else (*PROBE_PATHS, *OPEN_PATHS)
        log.info("these paths need no API key", paths=", ".join(paths))


def _limit_arenas() -> None:
    """Limit glibc's malloc arenas: one per thread keeps freed memory and looks like a leak."""
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def _raise_file_limit() -> None:
    """Allow as many open files as the system does: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _read_model(model: str) -> Checkpoint:
    """Read the model's configuration. A hub id that is not stored is pulled first."""

    def on_pull(reference: str) -> None:
        log.info("pulling the model", model=reference)
        # As process 1 of a container, Python would ignore the signal.
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    return read_checkpoint(resolve_model(model, on_pull))
