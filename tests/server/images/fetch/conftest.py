"""Fetchers of at most 1000 bytes that may reach the loopback."""

from collections.abc import AsyncIterator

import pytest

from server.images.fetch.fetcher import Fetcher
from tests.server.images.fetch.fetching import LIMIT
from tests.server.loopback import build_loopback_options


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    """Return a fetcher with time to spare."""
    fetcher = Fetcher(build_loopback_options(max_bytes=LIMIT, timeout_s=20))
    yield fetcher
    await fetcher.close()


@pytest.fixture(scope="session")
def offline_fetcher() -> Fetcher:
    """Return a fetcher that makes no connection, so that no event loop owns one."""
    return Fetcher(build_loopback_options(max_bytes=LIMIT, timeout_s=20))


@pytest.fixture
async def hasty_fetcher() -> AsyncIterator[Fetcher]:
    """Return a fetcher with a time limit of 0.2 seconds."""
    fetcher = Fetcher(build_loopback_options(max_bytes=LIMIT, timeout_s=0.2))
    yield fetcher
    await fetcher.close()
