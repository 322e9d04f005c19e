"""An admission of four permits."""

import pytest

from server.api.admission.admission import Admission
from server.api.admission.cost import Cost
from server.lifecycle import Lifecycle
from server.telemetry.metrics import Metrics
from tests.server.api.admission.waiting import Clock


@pytest.fixture
def lifecycle() -> Lifecycle:
    """Return the lifecycle of a server that is ready."""
    lifecycle = Lifecycle(drain_timeout_s=10)
    lifecycle.mark_ready()
    return lifecycle


@pytest.fixture
def clock() -> Clock:
    """Return the admission's clock."""
    return Clock()


@pytest.fixture
def admission(lifecycle: Lifecycle, metrics: Metrics, clock: Clock) -> Admission:
    """Return four permits and 100 bytes of images."""
    return Admission(lifecycle, capacity=Cost(4, 100), max_queue_s=30, metrics=metrics, clock=clock)
