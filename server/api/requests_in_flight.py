"""The requests in flight, and their end when the server exits."""

import asyncio
from collections.abc import Awaitable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.error_response import build_error_response
from server.api.runtime import Runtime
from server.errors import ApiError

# Seconds that requests in flight may take to notice that the server exits.
ANSWER_TIMEOUT_S: Final = 0.25


class RequestsInFlight:
    """ASGI middleware that can answer all requests at once.

    It must be outermost, to count requests whose body is still arriving.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[object]] = set()
        self._unanswered: set[asyncio.Task[object]] = set()  # no byte of their response is sent
        self._error: ApiError | None = None

    def __len__(self) -> int:
        """Return the number of requests whose response is not complete."""
        return len(self._tasks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return

        def send_and_note(message: Message) -> Awaitable[None]:
            # No coroutine of its own: it is called for each token.
            self._unanswered.discard(task)
            return send(message)

        self._tasks.add(task)
        self._unanswered.add(task)
        try:
            await self._app(scope, receive, send_and_note)
        except asyncio.CancelledError:
            if self._error is None or task not in self._unanswered:
                raise
            task.uncancel()
            await build_error_response(self._error)(scope, receive, send)
        finally:
            self._tasks.discard(task)
            self._unanswered.discard(task)

    async def end_all(self, runtime: Runtime) -> None:
        """End all requests of a server that exits: with 503, or an event in a stream."""
        error = runtime.lifecycle.build_exit_error()
        runtime.admission.refuse_waiting()
        if runtime.pipeline is not None:
            runtime.pipeline.fail_all(error)
        await self.wait(ANSWER_TIMEOUT_S)
        await self.end(error, ANSWER_TIMEOUT_S)

    async def wait(self, timeout_s: float) -> None:
        """Wait until all requests have their responses, `timeout_s` seconds at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    async def end(self, error: ApiError, timeout_s: float) -> None:
        """Answer every request without a response with `error`, then `wait`."""
        self._error = error
        for task in self._unanswered:
            task.cancel()
        await self.wait(timeout_s)
