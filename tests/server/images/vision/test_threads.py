"""Threads of the tower while the engine works and while it rests."""

from collections.abc import Iterator

import pytest
import torch

from server.checkpoint.config import read_checkpoint
from server.images.vision.threads import AdaptiveThreads
from server.images.vision.tower import VisionModel
from server.images.vision.weights import load_vision_model
from tests.server.siglip_family import write_interleave


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> VisionModel:
    """Return a small SigLIP tower with its projector."""
    written = write_interleave(tmp_path_factory.mktemp("interleave"))
    return load_vision_model(read_checkpoint(written.path), torch.device("cpu"))


@pytest.fixture(autouse=True)
def _restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_each_layer_asks_anew_and_the_numbers_do_not_change(model: VisionModel) -> None:
    views = torch.randint(0, 256, (2, 62, 62, 3), dtype=torch.uint8)
    torch.set_num_threads(1)
    expected = model(views)
    busy = iter([False, True, False])
    seen: list[int] = []
    AdaptiveThreads(lambda: next(busy), beside=1, alone=2).attach(model)
    for layer in model.vision_tower.encoder.layers:
        layer.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    assert torch.equal(model(views), expected)
    assert seen == [2, 1, 2]
