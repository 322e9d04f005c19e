"""uvicorn's HTTP/1 protocol with limits on connections, headers and time."""

import asyncio
import itertools
from collections.abc import Collection
from typing import Final

from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from server.api.browsers.cors import build_cors_lines
from server.api.edge.cycle import ResponseTransport
from server.api.edge.flow import EdgeFlowControl, WriteProgress, has_hung_up
from server.api.edge.idle import IdleConnections
from server.api.edge.limits import KIB, ConnectionLimits, ConnectionTable
from server.api.edge.refusals import EdgeObserver, RefusalReason, build_canned_responses
from server.api.edge.requests import RequestProtocol, State
from server.api.edge.shared import Edge
from server.api.edge.sweep import Sweep

# Bytes discarded from a connection over the limits, which must stay cheap; others may send more.
REFUSED_INPUT_BYTES = 64 * KIB
# A Unix socket has no addresses; a number in place of the port distinguishes its clients.
UNIX_ADDRESS: Final = "unix"
unix_clients: Final = itertools.count(1)


def build_protocol_class(
    limits: ConnectionLimits,
    table: ConnectionTable,
    observer: EdgeObserver,
    cors_allow_origins: Collection[str] = (),
) -> type["EdgeProtocol"]:
    """Return the class to give to uvicorn as `http`, bound to the limits of one server.

    Pages from `cors_allow_origins` may read its refusals.
    """

    class BoundEdgeProtocol(EdgeProtocol):
        edge = Edge(
            limits,
            table,
            observer,
            Sweep(limits.sweep_interval_s),
            IdleConnections(),
            build_canned_responses(
                max_header_bytes=limits.max_header_bytes,
                max_header_lines=limits.max_header_lines,
                retry_after_s=limits.retry_after_s,
            ),
            cors_allow_origins,
        )

    return BoundEdgeProtocol


class EdgeProtocol(RequestProtocol):
    """One connection. Uvicorn's `limit_concurrency` and `timeout_keep_alive` have no effect.

    Timeouts are checked by one `Sweep` over all connections, so requests start no timers.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit or refuse a new connection."""
        self.transport = transport
        self.connections.add(self)
        self._slice = self.edge.sweep.add(self, self.loop)
        self.flow = EdgeFlowControl(transport)
        self._writes = WriteProgress(transport)
        self._count_buffered = transport.get_write_buffer_size
        self._header_timeout_s = self.edge.limits.header_timeout_s
        self._keep_alive_timeout_s = self.edge.limits.keep_alive_timeout_s
        self._response_transport = ResponseTransport.build(transport, self.close_connection)
        self.client = get_remote_addr(transport)
        self._address = self.client[0] if self.client else None
        refusal = self._admit()
        if refusal is not None:
            self._discarded_bytes = self.edge.limits.max_discarded_bytes - REFUSED_INPUT_BYTES
            self.refuse(refusal)
            return
        self.client = self.client or (UNIX_ADDRESS, next(unix_clients))
        self.server = get_local_addr(transport)
        self.scheme = "https" if is_ssl(transport) else "http"

    def connection_lost(self, exc: Exception | None) -> None:
        """Have all requests of the connection see a disconnect."""
        self.edge.sweep.discard(self, self._slice)
        self._release()
        if self._lingering_since is not None:
            self.edge.table.end_linger()
        self._disconnect_all()
        del self._response_transport  # which holds the connection
        super().connection_lost(exc)

    def close_idle(self) -> None:
        """Close at once, as after the keep-alive timeout."""
        self._release()
        self.transport.close()

    def _admit(self) -> RefusalReason | None:
        """Count the connection, in place of an idle one if need be, or return why it is refused."""
        refusal = self.edge.table.admit(self._address)
        if refusal is RefusalReason.CONNECTIONS:
            self.edge.idle.close_longest()
            refusal = self.edge.table.admit(self._address)
        if refusal is None:
            self._is_admitted = True
            self.edge.idle.add(self)
        return refusal

    def _release(self) -> None:
        """Uncount the connection."""
        self.edge.idle.discard(self)
        if self._is_admitted:
            self._is_admitted = False
            self.edge.table.release(self._address)

    # Responses

    def on_response_complete(self) -> None:
        """Run the next request that waits, or wait for one."""
        self.server_state.total_requests += 1
        self._running = None
        if self._lingering_since is not None or self.transport.is_closing():
            return
        if self._waiting:
            cycle = self._waiting.popleft()
            self.flow.hold_reading = bool(self._waiting) or self._is_discard_full()
            self.start(cycle)
            return
        self.flow.resume_reading()
        if self._state is not State.HEAD:
            self._since = self.loop.time()
        if self._state is State.NOTHING:
            self.edge.idle.add(self)

    def resume_writing(self) -> None:
        """The client has taken most of the buffered output."""
        self._writes.stop()
        super().resume_writing()

    def close_connection(self) -> None:
        """Close after the last response; linger if the client may still be sending."""
        if self._state is State.NOTHING and not self.flow.read_paused and not self._is_discarding:
            self.transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Half-close and discard input for a while: closing at once could reset the connection.

        After a reset, a client cannot read the response any more (RFC 9112, 9.6).
        """
        self._disconnect_all()
        self._is_discarding = True
        if self._lingering_since is not None or self.transport.is_closing():
            return
        if not self.edge.table.start_linger():
            self.transport.close()
            return
        self._lingering_since = self.loop.time()
        self.flow.hold_reading = self._is_discard_full()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _disconnect_all(self) -> None:
        if self._running is not None:
            self._running.disconnect()
            self._running = None
        self._waiting.clear()

    # Refusals

    def refuse(self, reason: RefusalReason) -> None:
        """Parse nothing more; answer with `reason` once earlier requests have their responses."""
        self.edge.observer.add(reason, self._address)
        self._is_discarding = True
        has_begun = self._state is State.BODY and self._abandon_request()
        last = self._waiting[-1] if self._waiting else self._running
        if last is not None:
            last.keep_alive = False
            return
        if not has_begun and reason in self.edge.responses:
            self._write_refusal(reason)
        self._linger()

    def _write_refusal(self, reason: RefusalReason) -> None:
        status, end, rest = self.edge.responses[reason].partition(b"\r\n")
        cors = build_cors_lines(self.edge.cors_allow_origins, self.headers)
        self.transport.write(status + end + cors + rest)

    def _abandon_request(self) -> bool:
        """Drop the request with the faulty body. Return whether its response has begun."""
        self.cycle.disconnect()
        if self._waiting:
            self._waiting.pop()
        else:
            self._running = None
        return self.cycle.response_started

    # Timeouts

    def check_timeouts(self, now: float) -> None:
        """Refuse or close if a timeout has passed; `now` is the loop's time."""
        buffered = self._count_buffered()
        if self._running is not None and self.flow.read_paused and has_hung_up(self.transport):
            self.transport.abort()
        elif buffered or self._is_discarding or self._writes.is_watching:
            self._check_output(buffered, now)
        elif self._state is State.HEAD:
            if now - self._since >= self._header_timeout_s:
                self._end_head(now)
        elif self._state is State.BODY:
            self._check_body(now)
        elif self._running is None and now - self._since >= self._keep_alive_timeout_s:
            self.transport.close()

    def _check_output(self, buffered: int, now: float) -> None:
        if buffered:
            self._check_progress(buffered, now)
            return
        self._writes.stop()
        if self._lingering_since is not None and self._has_lingered(now, self._lingering_since):
            self.transport.close()

    def _has_lingered(self, now: float, since: float) -> bool:
        limits, latest = self.edge.limits, max(since, self._last_discarded_at)
        return now - latest >= limits.linger_s or now - since >= limits.max_linger_s

    def _check_progress(self, buffered: int, now: float) -> None:
        if self._lingering_since is not None:
            self._lingering_since = now  # the client has not got its response yet
        if self._writes.measure_stall_s(buffered, now) >= self.edge.limits.write_timeout_s:
            self.edge.observer.add(RefusalReason.WRITE_TIMEOUT, self._address)
            self.transport.abort()

    def _end_head(self, now: float) -> None:
        if self.flow.read_paused:
            self._since = now  # the server itself does not read
        elif self._has_begun:
            self.refuse(RefusalReason.HEADER_TIMEOUT)
        else:
            self.edge.observer.add(RefusalReason.HEADER_TIMEOUT, self._address)
            self.transport.close()

    def _check_body(self, now: float) -> None:
        limits, rate = self.edge.limits, self.cycle.body_rate
        if self.cycle.response_complete:
            if self._has_lingered(now, self._since):  # since the response
                self.transport.close()
        elif rate is not None and rate.is_too_slow(
            now, limits.min_body_bytes_per_s, limits.body_grace_s
        ):
            self.refuse(RefusalReason.BODY_TIMEOUT)
