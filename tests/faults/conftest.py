"""One server for all faults that it has to survive."""

from collections.abc import Iterator

import httpx
import pytest

from tests.api.running import RunningServer, running_server
from tests.faults.clock import FakeClock

FETCH_TIMEOUT_S = 3
DECODE_TIMEOUT_S = 20

OPTIONS = (
    *("--cpu-kv-cache-gib", "1"),
    *("--enforce-eager", "true"),
    *("--decode-workers", "2"),
    *("--decode-timeout-s", str(DECODE_TIMEOUT_S)),
    *("--fetch-timeout-s", str(FETCH_TIMEOUT_S)),
    *("--fetch-allow-networks", "127.0.0.0/8"),
    *("--fetch-allow-ports", "any"),
    "--trust-request-chat-template",
)


@pytest.fixture(scope="session")
def clock(tmp_path_factory: pytest.TempPathFactory) -> FakeClock:
    """Return the wall clock of the server, which tests may move."""
    return FakeClock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="session")
def faulty(clock: FakeClock) -> Iterator[RunningServer]:
    """Serve for all tests of faults that end, with a clock that may jump."""
    with running_server(*OPTIONS, env=clock.environment) as running:
        yield running


@pytest.fixture
def http(faulty: RunningServer) -> Iterator[httpx.Client]:
    """Talk to the server on one connection."""
    with httpx.Client(base_url=faulty.url, timeout=60) as client:
        yield client
