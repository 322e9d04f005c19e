"""The headers about a client's limits, with OpenAI's and Anthropic's names."""

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from server.api.rate_limits.window import WindowState

Header = tuple[bytes, bytes]


def build_openai_headers(states: Iterable[WindowState]) -> Iterator[Header]:
    """Yield `x-ratelimit-limit-…`, `-remaining-…` and `-reset-…`: the time until all is free."""
    for state in states:
        yield _encode(f"x-ratelimit-limit-{state.resource}", state.limit)
        yield _encode(f"x-ratelimit-remaining-{state.resource}", state.remaining)
        yield _encode(f"x-ratelimit-reset-{state.resource}", format_duration(state.reset_s))


def build_anthropic_headers(states: Iterable[WindowState]) -> Iterator[Header]:
    """Yield `anthropic-ratelimit-…`, whose resets are times of RFC 3339."""
    for state in states:
        prefix = f"anthropic-ratelimit-{state.resource}"
        yield _encode(f"{prefix}-limit", state.limit)
        yield _encode(f"{prefix}-remaining", state.remaining)
        yield _encode(f"{prefix}-reset", _format_moment(state.reset_s))


def format_duration(seconds: float) -> str:
    """Return a duration as OpenAI writes it: `250ms`, `12s`, `1m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms" if seconds > 0 else "0s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _format_moment(seconds: float) -> str:
    moment = datetime.now(UTC) + timedelta(seconds=math.ceil(seconds))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _encode(name: str, value: object) -> Header:
    return name.encode(), str(value).encode()
