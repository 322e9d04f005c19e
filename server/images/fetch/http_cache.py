"""What servers allow to be kept, by HTTP's rules (RFC 9111), in memory and bounded in bytes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

import httpx
from cachetools import LRUCache
from hishel import AsyncBaseStorage, Entry, Headers, Request, Response
from hishel.httpx import AsyncCacheTransport

# What an entry's objects take besides their text, roughly.
OVERHEAD_BYTES: Final = 2048
# One image must not push out all others.
LARGEST_SHARE: Final = 4


def wrap_with_cache(
    transport: httpx.AsyncBaseTransport, max_bytes: int
) -> httpx.AsyncBaseTransport:
    """Put a cache of `max_bytes` above a transport; none where that is 0."""
    if not max_bytes:
        return transport
    return AsyncCacheTransport(transport, MemoryStorage(max_bytes), rfc=True)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class _Kept:
    id: UUID
    key: str
    request: Request
    status: int
    headers: Headers
    body: bytes

    @property
    def size(self) -> int:
        texts = (self.key, self.request.url, *self.headers.items(), *self.request.headers.items())
        return OVERHEAD_BYTES + len(self.body) + sum(len("".join(text)) for text in texts)


class MemoryStorage(AsyncBaseStorage):
    """hishel's storage: the entries used last, one for each key, whole bodies only."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_stream_size=max_bytes // LARGEST_SHARE)
        self._largest = max_bytes // LARGEST_SHARE
        self._kept: LRUCache[str, _Kept] = LRUCache(max_bytes, getsizeof=lambda kept: kept.size)
        self._by_id: WeakValueDictionary[UUID, _Kept] = WeakValueDictionary()

    @property
    def size(self) -> int:
        """Bytes kept."""
        return int(self._kept.currsize)

    async def create_entry(
        self,
        request: Request,
        response: Response,
        key: str,
        *,
        ttl: float | None = None,  # noqa: ARG002 - HTTP's own rules say how long
        tti: float | None = None,  # noqa: ARG002
    ) -> Entry:
        """Return an entry whose body is kept once it has been read to its end."""
        kept = _Kept(uuid4(), key, request, response.status_code, response.headers, b"")
        stream = response.stream
        assert isinstance(stream, AsyncIterator)  # noqa: S101
        saving = replace(response, stream=self._saving(stream, kept))
        return Entry(id=kept.id, request=request, response=saving)

    async def get_entries(self, key: str) -> list[Entry]:
        """Return what is kept under the key."""
        kept = self._kept.get(key)
        if kept is None:
            return []
        response = Response(kept.status, Headers(dict(kept.headers.items())), _parts(kept.body))
        return [Entry(id=kept.id, request=kept.request, response=response)]

    async def update_headers(self, id: UUID, headers: Headers) -> None:
        """Replace an entry's headers, if it is still there."""
        kept = self._by_id.get(id)
        if kept is not None and self._kept.get(kept.key) is kept:
            self._keep(replace(kept, headers=headers))

    async def remove_entry(self, id: UUID) -> None:
        """Forget an entry, if it is still there."""
        kept = self._by_id.get(id)
        if kept is not None and self._kept.get(kept.key) is kept:
            del self._kept[kept.key]

    async def _saving(self, stream: AsyncIterator[bytes], kept: _Kept) -> AsyncIterator[bytes]:
        parts: list[bytes] = []
        read = 0
        async for part in stream:
            read += len(part)
            if read <= self._largest:
                parts.append(part)
            else:  # too long to keep, and perhaps endless
                parts.clear()
            yield part
        if read <= self._largest:
            self._keep(replace(kept, body=b"".join(parts)))

    def _keep(self, kept: _Kept) -> None:
        self._kept.pop(kept.key, None)
        if kept.size <= self._largest:
            self._kept[kept.key] = kept
            self._by_id[kept.id] = kept


async def _parts(body: bytes) -> AsyncIterator[bytes]:
    yield body
