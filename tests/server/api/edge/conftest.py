"""A server with small limits that the tests of a module share."""

from collections.abc import Iterator

import pytest

from tests.server.api.edge.running import RunningEdge, running_edge


@pytest.fixture(scope="module")
def shared_edge() -> Iterator[RunningEdge]:
    """Serve for a module."""
    with running_edge(max_header_bytes=2048, max_header_lines=10, linger_s=0.2) as running:
        yield running


@pytest.fixture
def edge(shared_edge: RunningEdge) -> RunningEdge:
    """Return the shared server with cleared records."""
    shared_edge.refusals.clear()
    shared_edge.app.requests.clear()
    shared_edge.app.disconnects.clear()
    shared_edge.app.started.clear()
    shared_edge.app.go.clear()
    return shared_edge
