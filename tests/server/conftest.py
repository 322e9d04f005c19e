"""What most tests of the server's parts need: the embedded model's own files, and metrics."""

import pytest
from hypothesis import settings
from tokenizers import Tokenizer

from model_store.store import find_model
from server.checkpoint.config import Checkpoint, read_checkpoint
from server.prompt.tokenizer import read_tokenizer
from server.telemetry.metrics import Metrics

# The same examples in every run, however slow the machine.
settings.register_profile("server", derandomize=True, database=None, deadline=None)
settings.load_profile("server")


@pytest.fixture
def metrics() -> Metrics:
    """Return metrics that nobody else writes."""
    return Metrics()


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    """Return the embedded model's checkpoint."""
    return read_checkpoint(find_model("llava-tiny"))


@pytest.fixture
def tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """Return the embedded model's tokenizer, untouched by a prompt builder."""
    return read_tokenizer(checkpoint.path)
