"""Runs the application under uvicorn: socket, signals, draining, exit code."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import uvicorn

from server.admin_port import serve_admin
from server.api.browsers.hosts import KnownHosts
from server.api.key_required import list_open_paths
from server.api.requests_in_flight import RequestsInFlight
from server.api.runtime import Runtime
from server.app import create_app
from server.lifecycle import Lifecycle, State
from server.listening import format_url, is_loopback
from server.outer_layers import add_outer_layers, build_protocol
from server.process.early_signals import STOP_SIGNALS
from server.process.file_limit import limit_connections, raise_file_limit
from server.process.service_manager import ServiceManager, take_notify_address
from server.ready import print_ready
from server.settings import Settings
from server.startup import Startup
from server.telemetry.logs import get_logger

log = get_logger(__name__)

# The key that the terminal client sends; the server's own keys are in `LLAVA_API_KEYS`.
CLIENT_KEY: Final = "LLAVA_API_KEY"
# Seconds that clients have to read the rest of their responses once the server has drained.
SHUTDOWN_TIMEOUT_S: Final = 5
# The same when the server exits at once: after a failure, a second signal, or a drain timeout.
ABRUPT_SHUTDOWN_TIMEOUT_S: Final = 0.25
# Seconds between two checks whether all connections are closed.
CLOSE_INTERVAL_S: Final = 0.05


class Server(uvicorn.Server):
    """uvicorn with draining: after a signal it listens until requests in flight are done."""

    def __init__(
        self, config: uvicorn.Config, runtime: Runtime, requests: RequestsInFlight
    ) -> None:
        super().__init__(config)
        self._runtime = runtime
        self._lifecycle = runtime.lifecycle
        self._lifecycle.on_failure = self._refuse_connections
        self._requests = requests
        self._service_manager = ServiceManager(take_notify_address())

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals from now on, even after the block.

        uvicorn would restore the previous handlers, with which a failed server exits with 0.
        """
        for each in STOP_SIGNALS:
            signal.signal(each, self.handle_exit)
        yield

    def handle_exit(self, _signal: int, _frame: FrameType | None) -> None:
        """Begin to drain; a second signal ends the drain at once.

        Replaces uvicorn's handler, which raises the signal again at the end and so sets the exit
        code.
        """
        self._lifecycle.drain()

    async def on_tick(self, counter: int) -> bool:
        """Return whether to exit; uvicorn asks ten times a second."""
        self._lifecycle.record_tick()
        self._service_manager.report(self._lifecycle.state)
        held = self._runtime.admission.held
        return await super().on_tick(counter) or self._lifecycle.should_exit(held)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer the requests in flight and close the connections, then end the application."""
        self._refuse_connections()
        if self._requests:
            await self._requests.end_all(self._runtime)
        await self._close_connections()
        await super().shutdown(sockets)

    def _refuse_connections(self) -> None:
        """Stop accepting before any client gets an error, so that a balancer tries another server.

        A server that fails while the model loads goes on accepting: `/ready` says why it failed.
        """
        if self._runtime.pipeline is not None or self._lifecycle.state is not State.FAILED:
            for listener in self.servers:
                listener.close()

    async def _close_connections(self) -> None:
        """Close the connections; abort those whose client does not read in time.

        uvicorn would wait longer, then cancel the requests and log a traceback for each.
        """
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
        """Return the time that clients have to read; a signal may shorten it meanwhile."""
        return ABRUPT_SHUTDOWN_TIMEOUT_S if self._lifecycle.is_overdue else SHUTDOWN_TIMEOUT_S


def serve(startup: Startup) -> int:
    """Serve on bound sockets until stopped. Returns the exit code."""
    listener, tls = startup.listener, startup.tls
    settings = limit_connections(startup.settings, raise_file_limit())
    lifecycle = Lifecycle(settings.drain_timeout_s)
    url = format_url(listener, is_tls=bool(tls), root_path=settings.root_path)

    def announce(model_name: str) -> None:
        _log_open_paths(settings)
        print_ready(settings, url, model_name)

    app = create_app(
        settings, startup.checkpoint, lifecycle, announce, startup.keys, startup.usage_file
    )
    runtime: Runtime = app.state.runtime
    requests = RequestsInFlight(app)
    hosts = KnownHosts(
        settings.allowed_hosts,
        bool(settings.allowed_hosts) or is_loopback(listener),
        settings.host.lower(),
    )
    config = uvicorn.Config(
        add_outer_layers(app, requests, settings, hosts),
        http=build_protocol(settings, runtime),
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Any client could claim any address as its own.
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
        root_path=settings.root_path,
        **tls,
    )
    with serve_admin(runtime, startup.admin_listener):
        server = Server(config, runtime, requests)
        _drain_on_hangup(server)
        server.run(sockets=[listener])
    if runtime.tracing is not None:
        runtime.tracing.close()
    return lifecycle.exit_code


def _drain_on_hangup(server: Server) -> None:
    """End as after SIGTERM when the terminal is closed; `nohup` prevents that.

    With a keys file, its watcher replaces this handler: SIGHUP then reads the file again.
    """
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, server.handle_exit)


def _log_open_paths(settings: Settings) -> None:
    """Log the paths that need no key; without keys, warn of a client's key in the environment."""
    if settings.needs_key:
        paths = list_open_paths(
            protect_all=settings.protect_all, has_admin_port=settings.admin_port is not None
        )
        log.info("these paths need no API key", paths=", ".join(paths))
    elif CLIENT_KEY in os.environ:
        log.warning(
            "this variable is for clients; LLAVA_API_KEYS sets the server's keys", name=CLIENT_KEY
        )
