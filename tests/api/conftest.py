"""One server for all API tests; its limits are small so that tests can reach them."""

from collections.abc import AsyncIterator, Iterator

import httpx
import openai
import pytest

from tests.api.running import RunningServer, running_server

MAX_REQUESTS = 40
MAX_BODY_MIB = 4
MAX_IMAGES = 4
MAX_IMAGE_MIB = 2
MAX_MEGAPIXELS = 20
FETCH_TIMEOUT_S = 3

LIMITS = (
    *("--max-concurrent-requests", str(MAX_REQUESTS)),
    *("--max-body-mib", str(MAX_BODY_MIB)),
    *("--max-images", str(MAX_IMAGES)),
    *("--max-image-mib", str(MAX_IMAGE_MIB)),
    *("--max-image-megapixels", str(MAX_MEGAPIXELS)),
    *("--fetch-timeout-s", str(FETCH_TIMEOUT_S)),
    *("--cpu-kv-cache-gib", "1"),
    *("--fetch-allow-networks", "127.0.0.0/8"),
    *("--fetch-allow-ports", "any"),
)


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """Serve the embedded model for the whole run."""
    with running_server(*LIMITS) as running:
        yield running


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
