"""What all tests share: one server for the whole run, whose limits tests can reach."""

from collections.abc import Iterator

import pytest

from tests.api.limits import LIMITS
from tests.api.running import RunningServer, running_server

# Fixtures that start a server for the whole run.
SERVERS = ("replicas", "server", "hostile", "faulty")
# Bytes up to this length are in a test's id as they are.
SHORT = 16


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what must stay together where tests run side by side.

    Tests that share a server do, and of the others each module, for its own fixtures' sake.
    """
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        group = next((name for name in SERVERS if name in fixtures), str(item.path))
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name files by their parameter: some have the time in them, and ids must be the same twice."""
    return argname if isinstance(val, bytes) and len(val) > SHORT else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail where xdist scatters the groups: each of its processes would start every server."""
    if getattr(session.config.option, "loadgroup", False):
        scattered = [item.nodeid for item in session.items if "@" not in item.nodeid]
        assert not scattered, f"pytest-xdist has not grouped these tests: {scattered[:3]}"


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """Serve the embedded model for the whole run."""
    with running_server(*LIMITS) as running:
        yield running
