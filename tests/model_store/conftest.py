"""An empty store for each test, and a local hub to pull from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model_store.local_hub import LocalHub, run_hub


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's store, which is empty."""
    folder = tmp_path / "store"
    monkeypatch.setenv("LLAVA_STORE", str(folder))
    return folder


@pytest.fixture
def hub_server() -> Iterator[LocalHub]:
    """Return a hub without repositories."""
    with run_hub() as hub:
        yield hub
