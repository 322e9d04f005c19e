"""A host of images on the loopback that can be down, slow, or break connections off."""

import asyncio
import socket
import struct
from contextlib import suppress
from enum import StrEnum
from typing import Final, Self

from benchmarks.images import PngImages

SLOW_S: Final = 30.0
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time


class Mood(StrEnum):
    """How the host treats a request."""

    GOOD = "good"
    DOWN = "down"
    SLOW = "slow"
    RESETTING = "resetting"


class ImageHost:
    """Serves image `n` at `/n.png`, by its mood."""

    def __init__(self, images: PngImages) -> None:
        self.mood = Mood.GOOD
        self._images = images
        self._server: asyncio.Server | None = None
        self._port = 0
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The URL of the host."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close, and stop answering."""
        self._close()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def change(self, mood: Mood) -> None:
        """Change the mood from now on."""
        self._close()
        self.mood = mood
        if mood is not Mood.DOWN:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._answer(reader, writer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                await self._respond(head, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    async def _respond(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        if self.mood is Mood.SLOW:
            await asyncio.sleep(SLOW_S)
        if self.mood is Mood.RESETTING:
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        number = int(head.split()[1].strip(b"/").partition(b".")[0])
        image = self._images.build(number)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n" % len(image) + image
        )
        await writer.drain()
