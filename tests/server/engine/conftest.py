"""What tests of the engine share."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _same_environment() -> Iterator[None]:
    """Take back the variables that vLLM's configuration sets for its processes."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
