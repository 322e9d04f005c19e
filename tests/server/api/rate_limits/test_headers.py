"""The headers of limits."""

import re

import pytest

from server.api.rate_limits.headers import (
    build_anthropic_headers,
    build_openai_headers,
    format_duration,
)
from server.api.rate_limits.resources import RATE_LIMIT_HEADERS
from server.api.rate_limits.window import WindowState

STATES = [WindowState("requests", 60, 12, 5.2), WindowState("image-tokens", 9, 0, 60)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.0204, "21ms"), (1, "1s"), (11.2, "12s"), (60, "1m0s"), (359.5, "6m0s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_openais_names() -> None:
    assert dict(build_openai_headers(STATES)) == {
        b"x-ratelimit-limit-requests": b"60",
        b"x-ratelimit-remaining-requests": b"12",
        b"x-ratelimit-reset-requests": b"6s",
        b"x-ratelimit-limit-image-tokens": b"9",
        b"x-ratelimit-remaining-image-tokens": b"0",
        b"x-ratelimit-reset-image-tokens": b"1m0s",
    }


def test_anthropics_names() -> None:
    headers = dict(build_anthropic_headers(STATES))
    assert headers[b"anthropic-ratelimit-requests-limit"] == b"60"
    assert headers[b"anthropic-ratelimit-image-tokens-remaining"] == b"0"
    moment = headers[b"anthropic-ratelimit-requests-reset"].decode()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment)


def test_browsers_may_read_all_of_them() -> None:
    built = [*build_openai_headers(STATES), *build_anthropic_headers(STATES)]
    assert {name.decode() for name, _ in built} <= set(RATE_LIMIT_HEADERS)
