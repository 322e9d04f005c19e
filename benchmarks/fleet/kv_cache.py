"""The KV cache with prefix caching: tokens of running requests, and reusable ones."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from benchmarks.fleet.request import Request

Key = tuple[str, int]
IMAGE: Final = "image"
CONVERSATION: Final = "conversation"


@dataclass(slots=True)
class Segment:
    """Tokens that are kept or evicted together; `users` are running requests that read them."""

    tokens: int
    users: int = 0


class KvCache:
    """Tokens in two kinds of segments: one for each image's prefix, one for each conversation.

    Simpler than vLLM's blocks in two ways: a request reserves its answer's tokens when it starts
    (vLLM preempts instead), and a conversation is evicted as a whole.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held: dict[Key, Segment] = {}
        self._idle: OrderedDict[Key, Segment] = OrderedDict()  # least recently used first
        self._held_tokens = 0
        self._idle_tokens = 0

    @property
    def usage(self) -> float:
        """The share that running requests hold: `vllm:kv_cache_usage_perc`."""
        return self._held_tokens / self._capacity

    def count_cached(self, request: Request) -> int:
        """Return how many tokens of the prompt need no prefill; the last one always does."""
        cached = 0
        if request.image is not None:
            cached = self._size((IMAGE, request.image))
            if not cached:  # tokens after a prefix are useless without it
                return 0
        cached += self._size((CONVERSATION, request.conversation))
        return min(cached, request.prompt_tokens - 1)

    def fits(self, request: Request) -> bool:
        """Whether there is room for a request now, after evictions if need be."""
        needed = sum(tokens for key, tokens in _list_segments(request) if key not in self._held)
        return self._held_tokens + needed <= self._capacity

    def reserve(self, request: Request) -> None:
        """Hold a request's tokens, prompt and answer. It must fit."""
        for key, tokens in _list_segments(request):
            self._hold(key, tokens)
        while self._held_tokens + self._idle_tokens > self._capacity:
            self._idle_tokens -= self._idle.popitem(last=False)[1].tokens

    def release(self, request: Request) -> None:
        """Release a request's tokens; they stay cached until their room is needed."""
        for key, _ in reversed(_list_segments(request)):  # the image last: it is evicted later
            segment = self._held[key]
            segment.users -= 1
            if not segment.users:
                self._idle[key] = self._held.pop(key)
                self._held_tokens -= segment.tokens
                self._idle_tokens += segment.tokens

    def _size(self, key: Key) -> int:
        segment = self._held.get(key) or self._idle.get(key)
        return segment.tokens if segment else 0

    def _hold(self, key: Key, tokens: int) -> None:
        segment = self._held.get(key)
        if segment is None:
            if (idle := self._idle.pop(key, None)) is not None:
                self._idle_tokens -= idle.tokens
            segment = self._held[key] = Segment(tokens)
            self._held_tokens += tokens
        segment.users += 1


def _list_segments(request: Request) -> list[tuple[Key, int]]:
    own = ((CONVERSATION, request.conversation), request.total_tokens - request.prefix_tokens)
    if request.image is None:
        return [own]
    return [((IMAGE, request.image), request.prefix_tokens), own]
