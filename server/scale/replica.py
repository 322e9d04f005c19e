"""A replica: the whole server in one of Ray Serve's actors."""

import asyncio
import os
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack, ExitStack
from socket import socket
from typing import Any, Final

import ray.util
import uvicorn.config
from ray import serve
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.admin_port import serve_admin
from server.api.browsers.hosts import KnownHosts
from server.api.edge.protocol import EdgeProtocol
from server.api.requests_in_flight import RequestsInFlight
from server.api.runtime import Runtime
from server.app import create_app
from server.checkpoint.config import Checkpoint
from server.lifecycle import Lifecycle, State
from server.outer_layers import add_outer_layers, build_protocol
from server.scale.listening import stop_listening
from server.scale.replica_start import PreparedReplica, ReplicaConfig, ReplicaError, prepare_replica
from server.scale.targets import name_address, publish_target
from server.start.serving import StartFailed, pull_checkpoint
from server.telemetry.logs import get_logger

log = get_logger(__name__)

# Seconds between two ticks of the event loop; without them the server counts as hung.
TICK_S: Final = 0.1
EXIT_FAILED: Final = 1
# Applies if only this machine reaches HAProxy, whose browsers any web page can use.
LOOPBACK: Final = "127.0.0.1"


class LlavaReplica:
    """Ray Serve constructs it, asks for its health, and ends it.

    The constructor returns when the model is loaded, so Ray sends no request earlier. A replica
    whose engine has failed ends its process: since its errors are fast, it would get more requests
    than the others.
    """

    async def __init__(  # type: ignore[misc]  # Ray awaits it
        self, values: Mapping[str, Any], config: ReplicaConfig
    ) -> None:
        """Load the model that the settings `values` name. Raises `ReplicaError`."""
        self._stack = AsyncExitStack()  # closed even if this fails
        self._name = serve.get_replica_context().replica_id.unique_id
        try:
            with ExitStack() as prepared_stack:
                prepared = prepare_replica(values, self._name, config, prepared_stack)
                self._stack.push(prepared_stack.pop_all())
            checkpoint = prepared.checkpoint
            if checkpoint is None:
                checkpoint = await asyncio.to_thread(pull_checkpoint, prepared.settings)
        except StartFailed as error:
            raise ReplicaError(str(error)) from None
        self._settings = prepared.settings
        self._lifecycle = Lifecycle(prepared.settings.drain_timeout_s)
        self._stack.callback(self._lifecycle.drain)
        self._is_refusing = False
        self._loaded = asyncio.Event()  # or failed
        self._app = self._create_app(prepared, checkpoint)
        self._requests = RequestsInFlight(self._app)
        await self._load()
        self._publish(prepared.admin_listener, config)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Return the application that answers requests."""
        patterns, host = self._settings.allowed_hosts, self._settings.host
        hosts = KnownHosts(patterns, bool(patterns) or host == LOOPBACK, host)
        return self._answer_with(add_outer_layers(self._app, self._requests, self._settings, hosts))

    def _answer_with(self, app: ASGIApp) -> ASGIApp:
        """Return the application, whose lifespan the replica runs.

        Each connection carries one request: HAProxy would lose a request that it sends while the
        replica ends. No error is sent before new connections are refused, or its client would come
        back.
        """
        runtime: Runtime = self._app.state.runtime

        async def run(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await _skip_lifespan(receive, send)
                return

            def send_watched(message: Message) -> Awaitable[None]:
                if runtime.pipeline is not None and runtime.pipeline.has_failed:
                    self._refuse_connections()
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
                return send(message)

            await app(scope, receive, send_watched)

        return run

    async def check_health(self) -> None:
        """Raise if the replica is to be replaced."""
        if not self._lifecycle.is_ready and self._lifecycle.state is not State.DRAINING:
            raise ReplicaError(self._lifecycle.reason or "the event loop hangs")

    async def __del__(self) -> None:
        """Close everything; requests in flight have ended by now."""
        await self._stack.aclose()

    def _create_app(self, prepared: PreparedReplica, checkpoint: Checkpoint) -> Any:
        app = create_app(
            prepared.settings,
            checkpoint,
            self._lifecycle,
            lambda _: self._loaded.set(),
            prepared.keys,
            prepared.usage_file,
        )
        runtime: Runtime = app.state.runtime
        if runtime.tracing is not None:
            self._stack.callback(runtime.tracing.close)
        # Ray configures uvicorn and leaves its protocol to "auto".
        protocols: dict[str, Any] = uvicorn.config.HTTP_PROTOCOLS
        protocols["auto"] = self._drain_on_shutdown(build_protocol(prepared.settings, runtime))
        return app

    def _drain_on_shutdown(self, protocol: type[EdgeProtocol]) -> type[EdgeProtocol]:
        """Return the protocol, whose connections notice when uvicorn ends.

        Ray notifies a replica only after its requests have ended, for which it sets no limit.
        """
        begin_to_drain = self._begin_to_drain

        class DrainingProtocol(protocol):  # type: ignore[misc, valid-type]
            def shutdown(self) -> None:
                begin_to_drain()
                super().shutdown()

        return DrainingProtocol

    async def _load(self) -> None:
        """Run the application, which loads the model; tick from now on."""
        ticks = asyncio.create_task(self._tick())
        self._stack.callback(ticks.cancel)
        self._lifecycle.on_failure = self._loaded.set
        await self._stack.enter_async_context(self._app.router.lifespan_context(self._app))
        await self._loaded.wait()
        if self._lifecycle.state is State.FAILED:
            raise ReplicaError(self._lifecycle.reason)
        self._lifecycle.on_failure = self._end_failed

    async def _tick(self) -> None:
        while True:
            self._lifecycle.record_tick()
            await asyncio.sleep(TICK_S)

    def _publish(self, admin_listener: socket, config: ReplicaConfig) -> None:
        """Serve metrics and probes, and write the target file for Prometheus."""
        self._stack.enter_context(serve_admin(self._app.state.runtime, admin_listener))
        if config.metrics_targets is not None:
            node: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
            address = name_address(admin_listener, node)
            self._stack.enter_context(publish_target(config.metrics_targets, self._name, address))

    def _begin_to_drain(self) -> None:
        if self._lifecycle.state is State.READY:
            self._lifecycle.drain()
            self._ending = asyncio.create_task(self._end_overdue_requests())

    async def _end_overdue_requests(self) -> None:
        await self._requests.wait(self._settings.drain_timeout_s)
        await self._requests.end_all(self._app.state.runtime)

    def _end_failed(self) -> None:
        """End this process soon."""
        self._refuse_connections()
        self._ending = asyncio.create_task(self._end_requests_and_exit())

    def _refuse_connections(self) -> None:
        if not self._is_refusing:
            self._is_refusing = True
            stop_listening()

    async def _end_requests_and_exit(self) -> None:
        await self._requests.end_all(self._app.state.runtime)
        os._exit(EXIT_FAILED)


async def _skip_lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
