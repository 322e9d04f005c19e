"""Streams send what is read, keep what is not, and give their resources back in time."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from server.api.edge.shared import WRITE_PAUSED
from server.api.event_stream import EventStream, OutputBudget
from server.errors import ApiError, ClientTooSlow


class Client:
    """An ASGI client whose socket may take nothing for a while."""

    def __init__(self) -> None:
        self.paused = False
        self.sent: list[bytes] = []
        self.released_after: int | None = None
        self.budget = OutputBudget(2000)

    async def send(self, message: Any) -> None:
        """Take a message."""
        if message["type"] == "http.response.body" and message["body"]:
            self.sent.append(message["body"])

    async def receive(self) -> Any:
        """Say nothing."""
        return {"type": "http.request", "body": b"", "more_body": False}

    async def read(self, events: AsyncIterator[bytes], max_buffered_bytes: int = 1000) -> None:
        """Read a stream as the HTTP protocol would."""
        self.error: ApiError | None = None
        resources = AsyncExitStack()
        resources.callback(self._note_release)

        def abort(error: ApiError) -> None:
            self.error = error

        stream = EventStream(
            events,
            resources,
            {},
            max_buffered_bytes=max_buffered_bytes,
            budget=self.budget,
            abort=abort,
        )
        scope = {
            "type": "http",
            "asgi": {"spec_version": "2.4"},
            "extensions": {WRITE_PAUSED: lambda: self.paused},
        }
        await stream(scope, self.receive, self.send)

    def _note_release(self) -> None:
        self.released_after = len(self.sent)


async def test_events_are_sent_as_they_come() -> None:
    client = Client()

    async def events() -> AsyncIterator[bytes]:
        for number in range(3):
            assert len(client.sent) == number
            yield b"%d" % number

    await client.read(events())
    assert client.sent == [b"0", b"1", b"2"]
    assert client.released_after == 3


async def test_an_unread_stream_gives_its_resources_back_before_it_is_read() -> None:
    client = Client()

    async def events() -> AsyncIterator[bytes]:
        yield b"0"
        client.paused = True
        yield b"1"
        yield b"2"

    await client.read(events())
    assert client.released_after == 1
    assert client.sent == [b"0", b"1", b"2"]


async def test_what_was_kept_is_sent_first() -> None:
    client = Client()

    async def events() -> AsyncIterator[bytes]:
        client.paused = True
        yield b"0"
        client.paused = False
        yield b"1"
        assert client.sent == [b"0", b"1"]
        yield b"2"

    await client.read(events())
    assert client.sent == [b"0", b"1", b"2"]


async def test_a_stream_that_nobody_reads_is_aborted() -> None:
    client = Client()

    async def events() -> AsyncIterator[bytes]:
        client.paused = True
        for _ in range(100):
            if client.error is not None:
                yield b"error"
                return
            yield b"x" * 100

    await client.read(events(), max_buffered_bytes=450)
    assert isinstance(client.error, ClientTooSlow)
    assert client.sent == [b"x" * 100] * 5 + [b"error"]
    assert client.released_after == 0
    assert client.budget.used == 0


async def test_the_unread_events_of_all_streams_are_bounded() -> None:
    client = Client()
    client.budget.used = 1950  # of other streams

    async def events() -> AsyncIterator[bytes]:
        client.paused = True
        yield b"x" * 40
        assert client.error is None
        yield b"x" * 40
        assert isinstance(client.error, ClientTooSlow)

    await client.read(events())
    assert client.budget.used == 1950
