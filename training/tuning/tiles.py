"""Images in tiles (`anyres`): how many image tokens they have, and how their views are merged.

Both are the server's own code, so that a model is asked as it was trained.
"""

from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from llava_spec.anyres import Size
from llava_spec.image_settings import PatchMerge
from model_store.convert.image_settings import read_grid_pinpoints
from server.checkpoint.vision import ImageConfig, VisionConfig
from server.images.vision.image_tokens import count_image_tokens
from server.images.vision.merge import merge_views

# LLaVA-1.6's grids: columns and rows of tiles.
GRIDS: Final = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))


@dataclass(frozen=True, slots=True)
class TileLayout:
    """An image's base view and tiles, of the tower's size each."""

    vision: VisionConfig
    image: ImageConfig

    def count_image_tokens(self, image_size: Size) -> int:
        """Return the number of image tokens of an image of (width, height)."""
        return count_image_tokens(image_size, self.vision, self.image)

    def merge(self, image_embeds: Tensor, image_size: Size, image_newline: Tensor | None) -> Tensor:
        """Merge one image's views (views, patches, width) into (image tokens, width)."""
        return merge_views(image_embeds, image_size, self.vision, self.image, image_newline)


def choose_grid_pinpoints(listed: str | None, size: int) -> tuple[Size, ...]:
    """Return the sizes that images are fitted into, (width, height) each, for a tower of `size`.

    `listed` is an `image_grid_pinpoints` as releases have it, by default LLaVA-1.6's for that
    tower. Raises `ConversionError`.
    """
    if listed is None:
        return tuple((columns * size, rows * size) for columns, rows in GRIDS)
    return tuple((width, height) for height, width in read_grid_pinpoints(listed, size))


def build_tile_layout(
    tower: Any, width: int, image: ImageConfig, patch_merge: PatchMerge
) -> TileLayout:
    """Return the layout of a CLIP tower, given its configuration, and embeddings of `width`."""
    vision = VisionConfig(
        image_size=tower.image_size,
        patch_size=tower.patch_size,
        hidden_size=tower.hidden_size,
        intermediate_size=tower.intermediate_size,
        num_layers=tower.num_hidden_layers,
        num_heads=tower.num_attention_heads,
        hidden_act=tower.hidden_act,
        layer_norm_eps=tower.layer_norm_eps,
        keep_class_token=False,
        projector_hidden_act="gelu",
        text_hidden_size=width,
        patch_merge=patch_merge,
    )
    return TileLayout(vision, image)
