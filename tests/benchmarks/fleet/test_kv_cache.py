"""The KV cache: prefixes are found again, room is made, nothing in use is evicted."""

from dataclasses import replace

from benchmarks.fleet.kv_cache import KvCache
from benchmarks.fleet.request import Request

FIRST = Request(conversation=1, image=5, prefix_tokens=600, prompt_tokens=640, answer_tokens=100)


def run(cache: KvCache, request: Request) -> int:
    """Run a request to its end; return how much of its prompt was cached."""
    assert cache.fits(request)
    cached = cache.count_cached(request)
    cache.reserve(request)
    cache.release(request)
    return cached


def test_the_next_turn_finds_the_turn_before() -> None:
    cache = KvCache(2000)
    assert run(cache, FIRST) == 0
    assert run(cache, replace(FIRST, prompt_tokens=800)) == 740
    assert run(cache, replace(FIRST, conversation=2)) == 600


def test_the_last_token_is_always_computed() -> None:
    cache = KvCache(2000)
    run(cache, FIRST)
    assert run(cache, FIRST) == 639


def test_a_conversation_is_useless_without_its_image() -> None:
    cache = KvCache(1000)
    run(cache, FIRST)
    run(cache, Request(9, None, 0, 800, 100))  # evicts the image after the conversation
    assert run(cache, FIRST) == 0


def test_running_requests_keep_their_tokens() -> None:
    cache = KvCache(1000)
    cache.reserve(FIRST)
    assert cache.usage == 0.74
    assert not cache.fits(Request(2, None, 0, 300, 100))
    assert cache.fits(replace(FIRST, conversation=3, prompt_tokens=700))  # shares the image
    cache.release(FIRST)
    assert cache.usage == 0
    assert cache.fits(Request(2, None, 0, 300, 100))
