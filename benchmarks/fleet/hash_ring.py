"""Consistent hashing: a ring on which each replica has many points."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b

from benchmarks.fleet.replica import Replica


@lru_cache(maxsize=200_000)
def hash_text(text: str) -> int:
    """Return a 64-bit hash that is the same in every process."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class HashRing:
    """The ring of some replicas, placed by their slots."""

    def __init__(self, replicas: Sequence[Replica], virtual_nodes: int) -> None:
        points = (
            (hash_text(f"{replica.slot}/{number}"), replica)
            for replica in replicas
            for number in range(virtual_nodes)
        )
        placed = sorted(points, key=lambda point: point[0])
        self._points = [point for point, _ in placed]
        self._replicas = [replica for _, replica in placed]

    def walk(self, key: str) -> Iterator[Replica]:
        """Yield each replica once, beginning with the owner of a key."""
        start = bisect_right(self._points, hash_text(key))
        seen: set[int] = set()
        for offset in range(len(self._replicas)):
            replica = self._replicas[(start + offset) % len(self._replicas)]
            if replica.slot not in seen:
                seen.add(replica.slot)
                yield replica

    def find(self, key: str, is_free: Callable[[Replica], bool] = lambda _: True) -> Replica:
        """Return the first free replica from a key on, or the key's owner if none is free."""
        free = next(filter(is_free, self.walk(key)), None)
        return next(self.walk(key)) if free is None else free
