"""A cache of HTTP responses by the rules of RFC 9111, in memory, within a byte limit."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

import httpx
from cachetools import LRUCache
from hishel import AsyncBaseStorage, Entry, Headers, Request, Response
from hishel.httpx import AsyncCacheTransport

# Roughly the memory of an entry's objects besides their text.
ENTRY_OVERHEAD_BYTES: Final = 2048
# No entry takes more than a quarter: one image must not evict all others.
MIN_ENTRIES: Final = 4


def wrap_with_cache(
    transport: httpx.AsyncBaseTransport, storage: "MemoryStorage | None"
) -> httpx.AsyncBaseTransport:
    """Return the transport behind a cache, or itself where there is none."""
    return transport if storage is None else AsyncCacheTransport(transport, storage, rfc=True)


def build_cache_extension(url: httpx.URL, partition: str) -> dict[str, object]:
    """Return the extension that makes a request share responses within a partition only."""
    return {"caching": {"key": f"{partition} {url}"}}


@dataclass(frozen=True, slots=True, weakref_slot=True)
class _CacheEntry:
    id: UUID
    key: str
    request: Request
    status: int
    headers: Headers
    body: bytes

    @property
    def size(self) -> int:
        texts = (self.key, self.request.url, *self.headers.items(), *self.request.headers.items())
        return ENTRY_OVERHEAD_BYTES + len(self.body) + sum(len("".join(text)) for text in texts)


class MemoryStorage(AsyncBaseStorage):
    """hishel's storage as an LRU cache: one entry per key, complete bodies only.

    Several transports may share one.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_stream_size=max_bytes // MIN_ENTRIES)
        self._max_entry_bytes = max_bytes // MIN_ENTRIES
        self._entries: LRUCache[str, _CacheEntry] = LRUCache(
            max_bytes, getsizeof=lambda entry: entry.size
        )
        self._by_id: WeakValueDictionary[UUID, _CacheEntry] = WeakValueDictionary()

    @property
    def size(self) -> int:
        """Bytes in the cache."""
        return int(self._entries.currsize)

    async def create_entry(
        self,
        request: Request,
        response: Response,
        key: str,
        *,
        ttl: float | None = None,  # noqa: ARG002 - RFC 9111 decides
        tti: float | None = None,  # noqa: ARG002
    ) -> Entry:
        """Return an entry whose body is stored once it has been read to its end."""
        entry = _CacheEntry(uuid4(), key, request, response.status_code, response.headers, b"")
        stream = response.stream
        assert isinstance(stream, AsyncIterator)  # noqa: S101
        storing = replace(response, stream=self._store_when_read(stream, entry))
        return Entry(id=entry.id, request=request, response=storing)

    async def get_entries(self, key: str) -> list[Entry]:
        """Return the key's entry, if there is one."""
        entry = self._entries.get(key)
        if entry is None:
            return []
        response = Response(entry.status, Headers(dict(entry.headers.items())), _stream(entry.body))
        return [Entry(id=entry.id, request=entry.request, response=response)]

    async def update_headers(self, id: UUID, headers: Headers) -> None:
        """Replace an entry's headers, if it is still there."""
        entry = self._by_id.get(id)
        if entry is not None and self._entries.get(entry.key) is entry:
            self._store(replace(entry, headers=headers))

    async def remove_entry(self, id: UUID) -> None:
        """Remove an entry, if it is still there."""
        entry = self._by_id.get(id)
        if entry is not None and self._entries.get(entry.key) is entry:
            del self._entries[entry.key]

    async def _store_when_read(
        self, stream: AsyncIterator[bytes], entry: _CacheEntry
    ) -> AsyncIterator[bytes]:
        chunks: list[bytes] = []
        num_bytes = 0
        async for chunk in stream:
            num_bytes += len(chunk)
            if num_bytes <= self._max_entry_bytes:
                chunks.append(chunk)
            else:  # too large to store, and perhaps endless
                chunks.clear()
            yield chunk
        if num_bytes <= self._max_entry_bytes:
            self._store(replace(entry, body=b"".join(chunks)))

    def _store(self, entry: _CacheEntry) -> None:
        self._entries.pop(entry.key, None)
        if entry.size <= self._max_entry_bytes:
            self._entries[entry.key] = entry
            self._by_id[entry.id] = entry


async def _stream(body: bytes) -> AsyncIterator[bytes]:
    yield body
