"""The real stages, with one decode worker for each test module."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import torch

from server.checkpoint.config import Checkpoint
from server.images.decode.decode import DecodeOptions
from server.images.fetch.fetcher import Fetcher
from server.images.loader import ImageLoader
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import ImageEmbedsCache
from server.images.vision.runner import EagerRunner
from server.images.vision.tower import VisionModel
from server.images.vision.weights import load_vision_model
from server.structured_outputs.validator import GrammarValidator
from server.telemetry.metrics import Metrics
from tests.server.images.open_loader import open_loader, open_workers
from tests.server.loopback import build_loopback_options
from tests.server.pipeline.stages import (
    Stages,
)


@pytest.fixture(scope="module")
def model(checkpoint: Checkpoint) -> VisionModel:
    """Return the embedded model's vision tower and projector."""
    return load_vision_model(checkpoint, torch.device("cpu"))


@pytest.fixture(scope="module")
def shared_stages(checkpoint: Checkpoint, model: VisionModel) -> Iterator[Stages]:
    """Yield stages with one decode worker for the module."""
    metrics = Metrics()
    options = DecodeOptions(checkpoint.image.size, checkpoint.image.aspect_ratio, 1_000_000)
    vision = VisionBatcher(EagerRunner(model), max_views=4, metrics=metrics)
    grammars = GrammarValidator(checkpoint.path)
    with open_loader(options, max_bytes=1_000_000, metrics=metrics) as image_loader:
        yield Stages(checkpoint, image_loader, vision, metrics, grammars)
    grammars.close()
    vision.close()


@pytest.fixture
def stages(shared_stages: Stages) -> Stages:
    """Return the stages with an empty cache."""
    shared_stages.cache = ImageEmbedsCache(100 * 1024 * 1024, shared_stages.metrics)
    return shared_stages


@pytest_asyncio.fixture(loop_scope="module")
async def isolated_stages(checkpoint: Checkpoint, model: VisionModel) -> AsyncIterator[Stages]:
    """Return stages with connections of the test's own event loop."""
    metrics = Metrics()
    fetcher = Fetcher(build_loopback_options(max_bytes=1_000_000, timeout_s=60))
    options = DecodeOptions(checkpoint.image.size, checkpoint.image.aspect_ratio, 1_000_000)
    vision = VisionBatcher(EagerRunner(model), max_views=4, metrics=metrics)
    grammars = GrammarValidator(checkpoint.path)
    with open_workers(metrics=metrics) as workers:
        image_loader = ImageLoader(fetcher, options, workers, variant="", metrics=metrics)
        yield Stages(checkpoint, image_loader, vision, metrics, grammars)
    grammars.close()
    vision.close()
    await fetcher.close()
