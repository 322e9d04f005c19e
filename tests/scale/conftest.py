"""Two replicas of the embedded model, for all tests of this folder."""

from collections.abc import Iterator

import psutil
import pytest

from tests.api.lora import write_adapter
from tests.scale.replicas import Replicas

# Two replicas with their engines, and Ray's own processes.
NEEDED_GIB = 7


@pytest.fixture(scope="session")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    """Serve with two replicas, with an adapter of the model."""
    free_gib = psutil.virtual_memory().available / 2**30
    if free_gib < NEEDED_GIB:
        pytest.skip(f"two replicas take {NEEDED_GIB} GiB of memory: {free_gib:.0f} are free")
    folder = tmp_path_factory.mktemp("scale")
    adapter = write_adapter(folder / "odd", scale=0.5)
    with Replicas(folder / "targets", ("--lora-adapters", f"odd={adapter}")) as running:
        yield running
