"""How much memory finished image embeddings take."""

from typing import Final

import torch

from server.checkpoint.config import Checkpoint
from server.process.memory_limit import read_memory_limit
from server.settings import Settings

CACHED_IMAGES: Final = 1000
# The most that images take of the memory by default, and what they always may.
MAX_MEMORY_SHARE: Final = 1 / 8
MIN_CACHE_BYTES: Final = 2**28


def compute_image_cache_bytes(settings: Settings, checkpoint: Checkpoint) -> int:
    """Return the limit of the image cache: by default `CACHED_IMAGES` images of this model.

    At most `MAX_MEMORY_SHARE` of the memory that this process may use, and no less than
    `MIN_CACHE_BYTES` of it.
    """
    if settings.image_cache_bytes is not None:
        return settings.image_cache_bytes
    num_values = checkpoint.max_image_tokens * checkpoint.vision.text_hidden_size
    itemsize: int = getattr(torch, checkpoint.resolve_dtype(settings.dtype)).itemsize
    share = int(read_memory_limit() * MAX_MEMORY_SHARE)
    return min(CACHED_IMAGES * num_values * itemsize, max(share, MIN_CACHE_BYTES))
