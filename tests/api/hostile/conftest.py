"""One server for all hostile requests, with small timeouts, watched by a polite client."""

from collections.abc import Iterator

import pytest

from tests.api.hostile.watch import Watch
from tests.api.running import running_server

# Large bodies, as by default; times that a test can wait for.
OPTIONS = (
    *("--header-timeout-s", "2"),
    *("--write-timeout-s", "3"),
    *("--max-buffered-mib", "128"),
    *("--max-queue-s", "2"),
    *("--cpu-kv-cache-gib", "1"),
    *("--enforce-eager", "true"),
)


@pytest.fixture(scope="session")
def hostile() -> Iterator[Watch]:
    """Serve for all hostile tests; report the worst figures of each at the end."""
    with running_server(*OPTIONS) as server, Watch(server) as watch:
        yield watch
    print(watch.report(), flush=True)
