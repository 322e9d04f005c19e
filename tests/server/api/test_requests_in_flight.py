"""Requests that are ended while they wait, run or stream."""

import asyncio
import json

import pytest
from starlette.types import Message, Receive, Scope, Send

from server.api.requests_in_flight import RequestsInFlight
from server.errors import NotReady

ERROR = NotReady("The server is shutting down.", retry_after=1)
HTTP: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}


class Application:
    """An application that waits for `go`, after the beginning of its response if `begins`."""

    def __init__(self, *, begins: bool) -> None:
        self.begins = begins
        self.go = asyncio.Event()
        self.waiting = asyncio.Event()

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        if self.begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        self.waiting.set()
        await self.go.wait()
        await send({"type": "http.response.body", "body": b"end"})


class Client:
    """Starts a request and keeps what is sent."""

    def __init__(self, requests: RequestsInFlight) -> None:
        self.sent: list[Message] = []
        self.task = asyncio.create_task(requests(HTTP, self._receive, self._send))

    async def _receive(self) -> Message:
        raise AssertionError("nothing is received")

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


async def test_a_request_without_a_response_gets_the_error() -> None:
    application = Application(begins=False)
    requests = RequestsInFlight(application)
    client = Client(requests)
    await application.waiting.wait()
    assert len(requests) == 1
    await requests.end(ERROR, 10)
    await client.task
    assert len(requests) == 0
    head, body = client.sent
    assert head["status"] == 503
    assert (b"retry-after", b"1") in head["headers"]
    assert json.loads(body["body"])["error"]["code"] == "not_ready"


async def test_a_response_that_has_begun_goes_on() -> None:
    application = Application(begins=True)
    requests = RequestsInFlight(application)
    client = Client(requests)
    await application.waiting.wait()
    await requests.end(ERROR, 0)
    assert len(requests) == 1
    application.go.set()
    await requests.wait(10)
    assert len(requests) == 0
    assert client.sent[-1]["body"] == b"end"


async def test_a_cancellation_from_elsewhere_is_none_of_ours() -> None:
    application = Application(begins=False)
    client = Client(RequestsInFlight(application))
    await application.waiting.wait()
    client.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.task
    assert client.sent == []


async def test_nothing_in_flight_ends_at_once() -> None:
    await RequestsInFlight(Application(begins=False)).end(ERROR, 10)
