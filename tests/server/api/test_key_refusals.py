"""Requests that the limits or the models of their key refuse once the body is read."""

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from structlog.typing import EventDict

from server.api import early_returns
from server.api.admission.admission import EARLY_DELAY_S
from server.api.early_returns import EarlyReturns
from server.api.gated_paths import GENERATING_PATHS
from server.errors import KeyLimitExceeded
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import OPERATIONS
from tests.server.api.keyed_server import KeyedServer, build_limited_key
from tests.server.pictures import build_data_url

KEY = build_limited_key(image_tokens_per_minute=10)
URL = build_data_url(b"any")
OPENAI = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}]}]
SOURCE = {"type": "base64", "media_type": "image/png", "data": URL.partition(",")[2]}
ANTHROPIC = [{"role": "user", "content": [{"type": "image", "source": SOURCE}]}]
TEXT = [{"role": "user", "content": "Hi"}]
PATHS = {
    "/v1/chat/completions": OPENAI,
    "/v1/messages/count_tokens": ANTHROPIC,
    "/tokenize": OPENAI,
}


@pytest.fixture
async def server(metrics: Metrics) -> AsyncIterator[KeyedServer]:
    """Return the server."""
    server = KeyedServer(metrics, KEY)
    yield server
    server.runtime.refusal_log.flush()


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record delays instead of waiting."""
    seen: list[float] = []

    async def sleep(seconds: float) -> None:
        seen.append(seconds)

    monkeypatch.setattr(early_returns.asyncio, "sleep", sleep)  # type: ignore[attr-defined]
    return seen


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    """Return the log lines written meanwhile."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.mark.parametrize("path", PATHS)
async def test_images_are_refused_while_the_key_has_no_image_tokens(
    server: KeyedServer, path: str
) -> None:
    refused = await server.post(path, PATHS[path])
    assert refused.status_code == 429
    assert "image tokens" in refused.text
    assert (await server.post(path, TEXT)).status_code == 503  # no model: it has come that far


@pytest.mark.parametrize("path", PATHS)
async def test_another_model_is_refused_without_a_permit(server: KeyedServer, path: str) -> None:
    tenant = server.runtime.authenticator.authenticate("Bearer secret").queue_key
    with await server.runtime.admission.acquire(tenant):
        refused = await server.post(path, TEXT, "n")
    assert refused.status_code == 404


async def test_only_clients_that_come_back_early_are_held_up(
    server: KeyedServer, delays: list[float]
) -> None:
    await server.post("/v1/chat/completions", OPENAI)
    assert delays == []
    await server.post("/tokenize", OPENAI)
    await server.post("/v1/messages/count_tokens", ANTHROPIC)
    assert delays == [EARLY_DELAY_S] * 2


async def test_who_comes_back_on_time_is_not_held_up(
    server: KeyedServer, delays: list[float]
) -> None:
    times = iter([0.0, 7.0, 14.0, 20.9])
    returns = EarlyReturns(lambda: next(times))
    tenant = server.runtime.authenticator.authenticate("Bearer secret", ("10.0.0.1", 1))
    error = KeyLimitExceeded("None left.", retry_after=7)
    for _ in range(3):
        await returns.delay(error, tenant)
    assert delays == []
    await returns.delay(error, tenant)
    assert delays == [EARLY_DELAY_S]


async def test_refusals_share_one_log_line(
    server: KeyedServer, delays: list[float], lines: list[EventDict]
) -> None:
    for path, conversation in PATHS.items():
        await server.post(path, conversation)
    server.runtime.refusal_log.flush()
    (line,) = lines
    assert (line["event"], line["key_limit_exceeded"]) == ("requests refused", 3)
    assert (line["clients"], line["keys"]) == ({"127.0.0.1": 3}, {"alice": 3})
    assert len(delays) == 2


async def test_what_generates_nothing_is_logged_too(
    server: KeyedServer, lines: list[EventDict]
) -> None:
    await server.post("/tokenize", TEXT)
    (line,) = lines
    told = {name: line[name] for name in ("event", "endpoint", "key", "model", "outcome", "status")}
    assert told == {
        "event": "request",
        "endpoint": "/tokenize",
        "key": "alice",
        "model": "m",
        "outcome": "not_ready",
        "status": 503,
    }


def test_traces_name_the_operation_of_each_path_that_generates() -> None:
    assert set(OPERATIONS) == set(GENERATING_PATHS)
