"""From bytes to requests: uvicorn's parsing with limits on headers and pipelining."""

import asyncio
import urllib.parse
from abc import abstractmethod
from collections import deque
from enum import Enum
from typing import Any, ClassVar, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from server.api.edge.cycle import EdgeCycle, Http10Cycle
from server.api.edge.flow import EdgeFlowControl
from server.api.edge.head import validate_head
from server.api.edge.refusals import RefusalReason, Refused
from server.api.edge.shared import WRITE_PAUSED, Edge
from server.api.edge.upgrade import HeadlessCallbacks, build_request_parser, build_synthetic_head

# Each piece of a body costs a callback: a megabyte in chunks of one byte takes seconds. Thousands
# of small ones are fine, since some clients send a JSON encoder's output as it comes.
MIN_PIECE_BYTES: Final = 64
MAX_PIECE_DEBT: Final = 4096 * MIN_PIECE_BYTES


class State(Enum):
    """The part of a request that the client sends next."""

    HEAD = "head"  # the first one, or the rest of one
    BODY = "body"
    NOTHING = "nothing"  # between two requests


HEAD, BODY, NOTHING = State.HEAD, State.BODY, State.NOTHING


class RequestProtocol(HttpToolsProtocol):
    """Turns input into cycles: one runs, a few wait. Ignores every offer to upgrade."""

    edge: ClassVar[Edge]
    cycle: EdgeCycle  # of the latest request
    flow: EdgeFlowControl

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._max_header_bytes = self.edge.limits.max_header_bytes
        self._max_header_lines = self.edge.limits.max_header_lines
        self._state = HEAD
        self._since = self.loop.time()  # when the head, or the silence between requests, began
        self._has_begun = False  # the head; empty lines before it do not count
        self._piece_debt = 0  # bytes by which pieces of the body were too small
        self._framing_bytes = 0  # since the last head, piece of a body, or message
        self._offers_upgrade = False
        self._running: EdgeCycle | None = None
        self._waiting: deque[EdgeCycle] = deque()  # pipelined, oldest first
        self._is_admitted = False
        self._is_discarding = False
        self._discarded_bytes = 0
        self._lingering_since: float | None = None
        self._last_discarded_at = 0.0
        self._response_transport: asyncio.Transport

    @abstractmethod
    def close_idle(self) -> None:
        """Close at once, as after the keep-alive timeout."""

    @abstractmethod
    def refuse(self, reason: RefusalReason) -> None:
        """Parse nothing more; answer with `reason` once earlier requests have their responses."""

    def start(self, cycle: EdgeCycle) -> None:
        """Run a request."""
        self._running = cycle
        self._start_asgi_task(cycle, self.app)

    # Input

    def data_received(self, data: bytes) -> None:
        """Parse input, or discard it after the last response."""
        if self._is_discarding:
            self._discard(len(data))
            return
        self._framing_bytes += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            cause = error.__context__  # raised in a callback
            self.refuse(cause.reason if isinstance(cause, Refused) else RefusalReason.BAD_REQUEST)
            return
        if self._framing_bytes > self._max_header_bytes:
            self.refuse(RefusalReason.HEADER_BYTES)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            # llhttp stops at the end of the headers.
            self._offers_upgrade = False
            head = build_synthetic_head(self.headers, self.cycle.keep_alive)
            self.parser = build_request_parser(HeadlessCallbacks(self))
            self._parse(head + data[offer.args[0] :])

    def _discard(self, num_bytes: int) -> None:
        self._discarded_bytes += num_bytes
        self._last_discarded_at = self.loop.time()
        if self._is_discard_full():
            self.flow.hold_reading = True
            self.flow.pause_reading()

    def _is_discard_full(self) -> bool:
        return self._discarded_bytes > self.edge.limits.max_discarded_bytes

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        if self._state is NOTHING:
            self._state = HEAD
            self._since = self.loop.time()
        self._has_begun = True
        self.edge.idle.discard(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; a trailer is dropped."""
        if self._state is BODY:
            return
        headers = self.headers
        if len(headers) >= self._max_header_lines:
            raise Refused(RefusalReason.HEADER_LINES)
        headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Run the request, or queue it behind the one that runs."""
        version = self.parser.get_http_version()
        self.expect_100_continue = validate_head(
            version, self.headers, self._max_header_bytes - len(self.url)
        )
        if len(self._waiting) >= self.edge.limits.max_pipelined:
            raise Refused(RefusalReason.PIPELINED)
        self._complete_scope(version)
        self._offers_upgrade = self.parser.should_upgrade()
        self.cycle = self._build_cycle(version)
        self._state = BODY
        self._framing_bytes = 0
        self._piece_debt = 0
        if self._running is None:
            self.start(self.cycle)
        else:
            self.flow.pause_reading()
            self.flow.hold_reading = True
            self._waiting.append(self.cycle)

    def _complete_scope(self, version: str) -> None:
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        if "%" in path:
            path = urllib.parse.unquote(path)
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version
        self.scope["path"] = self.root_path + path
        self.scope["raw_path"] = self.root_path.encode("ascii") + url.path
        self.scope["query_string"] = url.query or b""
        extensions: Any = {WRITE_PAUSED: self._is_write_paused}  # ASGI types allow data only
        self.scope["extensions"] = extensions

    def _is_write_paused(self) -> bool:
        return self.flow.write_paused

    def _build_cycle(self, version: str) -> EdgeCycle:
        is_http10 = version == "1.0"
        kind = Http10Cycle if is_http10 else EdgeCycle
        return kind(
            self.loop,
            self.edge.limits.max_drained_bytes,
            scope=self.scope,
            transport=self._response_transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=not is_http10 and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def on_body(self, body: bytes) -> None:
        """Buffer a piece of the body; the application's reading resumes ours."""
        self._framing_bytes = 0
        self._piece_debt = max(0, self._piece_debt + MIN_PIECE_BYTES - len(body))
        if self._piece_debt > MAX_PIECE_DEBT:
            raise Refused(RefusalReason.SMALL_CHUNKS)
        cycle = self.cycle
        if cycle.response_complete:
            self._last_discarded_at = self.loop.time()
            return
        cycle.body += body
        if cycle.body_rate is not None:
            cycle.body_rate.add(len(body))
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The body is complete, unless llhttp only says so because of an upgrade."""
        if self._offers_upgrade:
            return
        self._state = NOTHING
        self._framing_bytes = 0
        self.cycle.more_body = False
        if self._running is None:
            self.edge.idle.add(self)
        self.cycle.message_event.set()
