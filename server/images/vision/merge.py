"""From the views of an image to its rows in the prompt (`mm_patch_merge_type`)."""

import torch
from torch import Tensor

from llava_spec.anyres import Size, select_best_resolution, unpad_margins
from server.checkpoint.vision import ImageConfig, VisionConfig


def merge_views(
    image_embeds: Tensor,
    image_size: Size,
    vision: VisionConfig,
    image: ImageConfig,
    image_newline: Tensor | None,
) -> Tensor:
    """Return one image's rows (rows, hidden) of its views' image_embeds (views, tokens, hidden).

    Follows `prepare_inputs_labels_for_multimodal` of the released code. `flat`: the views' rows one
    after another. `spatial`: the base view's, then the tiles' as one grid, row by row.
    `spatial_unpad`: of that grid only what shows the image of `image_size` (width, height), with
    `image_newline` after each row; a base view alone is followed by one `image_newline`.
    """
    if vision.patch_merge == "flat":
        return image_embeds.flatten(0, 1)
    base, tiles = image_embeds[0], image_embeds[1:]
    if len(tiles) == 0:
        return base if image_newline is None else torch.cat([base, image_newline[None]])
    resolution = select_best_resolution(image_size, image.grid_pinpoints)
    grid = _lay_out(tiles, resolution[0] // image.size, vision.patches_per_side)
    if image_newline is not None:
        grid = _append_newlines(_unpad(grid, image_size), image_newline)
    return torch.cat([base, grid.flatten(0, 1)])


def _lay_out(tiles: Tensor, columns: int, side: int) -> Tensor:
    """Put tiles (tiles, side * side, hidden) side by side, as (height, width, hidden)."""
    grid = tiles.unflatten(0, (-1, columns)).unflatten(2, (side, side))
    laid_out: Tensor = grid.transpose(1, 2).flatten(2, 3).flatten(0, 1)
    return laid_out


def _unpad(grid: Tensor, image_size: Size) -> Tensor:
    """Cut the padding off a grid (height, width, hidden)."""
    height, width, _ = grid.shape
    columns, rows = unpad_margins(image_size, (width, height))
    return grid[rows : height - rows, columns : width - columns]


def _append_newlines(grid: Tensor, image_newline: Tensor) -> Tensor:
    """Append `image_newline` (hidden) to each row of a grid (height, width, hidden)."""
    newlines = image_newline.expand(len(grid), 1, -1)
    return torch.cat([grid, newlines], dim=1)
