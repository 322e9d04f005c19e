"""Whoever leaves before the answer begins takes the work with him."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from server.api.disconnect import cancel_on_disconnect
from server.errors import ClientGone

Message = MutableMapping[str, Any]


class Client:
    """A connection: messages until the client leaves."""

    def __init__(self, *messages: str) -> None:
        self.messages = [*messages]
        self.listening = asyncio.Event()
        self.leave = asyncio.Event()
        self.cancelled = False

    async def receive(self) -> Message:
        """Return the next message, `http.disconnect` once the client has left."""
        if self.messages:
            return {"type": self.messages.pop(0)}
        self.listening.set()
        try:
            await self.leave.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return {"type": "http.disconnect"}


class Work:
    """Work that takes until it is told, and takes a while to be cancelled."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()
        self.released = False

    async def __call__(self) -> str:
        self.begun.set()
        try:
            await self.go.wait()
            return "answer"
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            self.released = True


async def test_the_result_of_work_that_ends_first() -> None:
    client, work = Client(), Work()
    work.go.set()
    assert await cancel_on_disconnect(client.receive, work()) == "answer"


async def test_nobody_listens_to_the_client_afterwards() -> None:
    client, work = Client(), Work()
    watching = asyncio.create_task(cancel_on_disconnect(client.receive, work()))
    await client.listening.wait()
    work.go.set()
    assert await watching == "answer"
    assert client.cancelled


async def test_an_error_of_the_work_is_raised() -> None:
    async def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await cancel_on_disconnect(Client().receive, fail())


async def test_a_client_that_leaves_cancels_the_work_and_waits_for_its_end() -> None:
    client, work = Client(), Work()
    watching = asyncio.create_task(cancel_on_disconnect(client.receive, work()))
    await work.begun.wait()
    client.leave.set()
    with pytest.raises(ClientGone):
        await watching
    assert work.released


async def test_a_client_that_has_already_left() -> None:
    client, work = Client("http.disconnect"), Work()
    with pytest.raises(ClientGone):
        await cancel_on_disconnect(client.receive, work())


async def test_other_messages_do_not_count() -> None:
    client, work = Client("http.request", "http.request"), Work()
    watching = asyncio.create_task(cancel_on_disconnect(client.receive, work()))
    await client.listening.wait()
    work.go.set()
    assert await watching == "answer"


async def test_being_cancelled_cancels_and_waits_too() -> None:
    client, work = Client(), Work()
    watching = asyncio.create_task(cancel_on_disconnect(client.receive, work()))
    await work.begun.wait()
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert work.released
    assert client.cancelled


async def test_work_that_fails_while_it_is_cancelled_changes_nothing() -> None:
    client, begun = Client(), asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise LookupError("while closing")

    watching = asyncio.create_task(cancel_on_disconnect(client.receive, stubborn()))
    await begun.wait()
    client.leave.set()
    with pytest.raises(ClientGone):
        await watching


@pytest.mark.parametrize("ends", ["work", "client"])
async def test_no_task_is_left_behind(ends: str) -> None:
    client, work = Client(), Work()
    before = asyncio.all_tasks()
    watching = asyncio.create_task(cancel_on_disconnect(client.receive, work()))
    await client.listening.wait()
    end: dict[str, Callable[[], None]] = {"work": work.go.set, "client": client.leave.set}
    end[ends]()
    await asyncio.wait([watching])
    watching.exception()
    assert asyncio.all_tasks() == before
