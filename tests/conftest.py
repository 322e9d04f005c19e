"""What all tests share: one server for the whole run, whose limits tests can reach."""

from collections.abc import Iterator

import pytest

from tests.api.limits import LIMITS
from tests.api.running import RunningServer, running_server


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """Serve the embedded model for the whole run."""
    with running_server(*LIMITS) as running:
        yield running
