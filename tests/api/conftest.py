"""Clients of the server under test."""

from collections.abc import AsyncIterator, Iterator

import httpx
import openai
import pytest

from tests.api.running import RunningServer


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    """Talk to the server as curl would."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture
async def http_async(server: RunningServer) -> AsyncIterator[httpx.AsyncClient]:
    """Talk to the server many times at once."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
        yield client


@pytest.fixture
def client(server: RunningServer) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, without retries."""
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60
    ) as client:
        yield client
