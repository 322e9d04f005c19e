"""The image cache's default: a thousand images, within a share of the memory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.checkpoint import image_memory
from server.checkpoint.config import Checkpoint
from server.checkpoint.image_memory import compute_image_cache_bytes
from server.settings import Settings
from tests.server.images.vision.small_model import build_small_checkpoint

GIB = 1024**3
IMAGE_OF_7B = 576 * 4096 * 2


@pytest.fixture
def llava_7b(tmp_path: Path) -> Checkpoint:
    """Return a LLaVA-1.5-7B, as far as its embeddings go."""
    small = build_small_checkpoint(tmp_path, "float16")
    vision = replace(small.vision, image_size=336, patch_size=14, text_hidden_size=4096)
    return replace(small, vision=vision)


@pytest.mark.parametrize(
    ("memory", "limit"),
    [
        (256 * GIB, 1000 * IMAGE_OF_7B),
        (32 * GIB, 4 * GIB),
        (16 * GIB, 2 * GIB),
        (1 * GIB, GIB / 4),
    ],
)
def test_a_share_of_the_memory(
    llava_7b: Checkpoint, memory: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_memory, "read_memory_limit", lambda: memory)
    assert compute_image_cache_bytes(Settings(), llava_7b) == limit


@pytest.mark.parametrize(
    ("settings", "limit"),
    [({"image_cache_mib": 1.5}, 1.5 * 2**20), ({"dtype": "float"}, 2000 * IMAGE_OF_7B)],
)
def test_settings(
    llava_7b: Checkpoint, settings: Any, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_memory, "read_memory_limit", lambda: 1024 * GIB)
    assert compute_image_cache_bytes(Settings(**settings), llava_7b) == limit
