"""What all tests share: one server for those that need no other, whose limits they can reach."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.api.limits import LIMITS
from tests.api.running import RunningServer, running_server

# Fixtures that start a server for all tests that have them. Those of clients request it late.
SERVERS = ("replicas", "server", "hostile", "faulty")
CLIENTS = Path(__file__).parent / "clients"
# Bytes up to this length are in a test's id as they are.
SHORT = 16


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what must stay together where tests run side by side.

    Tests that share a server do, and of the others each module, for its own fixtures' sake.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(choose_group(item)))


def choose_group(item: pytest.Item) -> str:
    """Return the name of the tests that a test stays together with."""
    if item.path.is_relative_to(CLIENTS):
        return "server"
    fixtures = getattr(item, "fixturenames", ())
    return next((name for name in SERVERS if name in fixtures), str(item.path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """End a server with the last test that has it: an idle one takes more than 2 GiB.

    Only where tests run side by side are those that share a server next to each other.
    """
    yield
    group = choose_group(item)
    assert isinstance(item, pytest.Function)
    is_parallel = hasattr(item.config, "workerinput")
    if is_parallel and nextitem is not None and choose_group(nextitem) != group:
        request: Any = item._request
        for fixture in item.session._fixturemanager.getfixturedefs(group, item) or ():
            fixture.finish(request)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name files by their parameter: some have the time in them, and ids must be the same twice."""
    return argname if isinstance(val, bytes) and len(val) > SHORT else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Prepare tests that run side by side.

    PyTorch's threads of several processes wait for each other's cores: each gets one. Fail where
    xdist scatters the groups, since each of its processes would start every server.
    """
    if hasattr(session.config, "workerinput"):
        torch.set_num_threads(1)
    if getattr(session.config.option, "loadgroup", False):
        scattered = [item.nodeid for item in session.items if "@" not in item.nodeid]
        assert not scattered, f"pytest-xdist has not grouped these tests: {scattered[:3]}"


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """Serve the embedded model."""
    with running_server(*LIMITS) as running:
        yield running
