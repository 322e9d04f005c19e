"""Merges the views of an image into its image tokens (`mm_patch_merge_type`)."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from llava_spec.anyres import Size, limit_grid, select_best_resolution, unpad_margins
from server.checkpoint.vision import ImageConfig, VisionConfig


def merge_views(
    image_embeds: Tensor,
    image_size: Size,
    vision: VisionConfig,
    image: ImageConfig,
    image_newline: Tensor | None,
) -> Tensor:
    """Merge image_embeds (views, tokens, hidden) into one image's (num_image_tokens, hidden).

    Follows `prepare_inputs_labels_for_multimodal` of the released code. `flat` concatenates the
    views' tokens. `spatial` concatenates the base view's tokens and those of the tiles, laid out as
    one grid, row by row. `spatial_unpad` crops that grid to the image of `image_size` (width,
    height) and appends `image_newline` to each row; a base view alone gets one `image_newline`.
    With `max_views` a large grid is scaled down after the crop, as transformers'
    `pack_image_features` of LLaVA-OneVision does.
    """
    if vision.patch_merge == "flat":
        return image_embeds.flatten(0, 1)
    base, tiles = image_embeds[0], image_embeds[1:]
    if len(tiles) == 0:
        return base if image_newline is None else torch.cat([base, image_newline[None]])
    resolution = select_best_resolution(image_size, image.grid_pinpoints)
    grid = _build_grid(tiles, resolution[0] // image.size, vision.patches_per_side)
    if image_newline is not None:
        grid = _unpad(grid, image_size, image.unpad_digits)
        if image.max_views is not None:
            grid = _scale_down(grid, image.max_views * vision.patches_per_side**2)
        grid = _append_newlines(grid, image_newline)
    return torch.cat([base, grid.flatten(0, 1)])


def _build_grid(tiles: Tensor, columns: int, side: int) -> Tensor:
    """Lay out tiles (tiles, side * side, hidden) as one grid (height, width, hidden)."""
    tile_rows = tiles.unflatten(0, (-1, columns)).unflatten(2, (side, side))
    grid: Tensor = tile_rows.transpose(1, 2).flatten(2, 3).flatten(0, 1)
    return grid


def _unpad(grid: Tensor, image_size: Size, digits: int | None) -> Tensor:
    """Crop the padding off a grid (height, width, hidden)."""
    height, width, _ = grid.shape
    left, top = unpad_margins(image_size, (width, height), digits)
    return grid[top : height - top, left : width - left]


def _scale_down(grid: Tensor, max_patches: int) -> Tensor:
    """Scale a grid (height, width, hidden) down if it has far more than `max_patches`."""
    height, width, _ = grid.shape
    columns, rows = limit_grid((width, height), max_patches)
    if (columns, rows) == (width, height):
        return grid
    channels = grid.permute(2, 0, 1)[None]  # (1, hidden, height, width)
    return interpolate(channels, (rows, columns), mode="bilinear")[0].permute(1, 2, 0)


def _append_newlines(grid: Tensor, image_newline: Tensor) -> Tensor:
    """Append `image_newline` (hidden) to each row of a grid (height, width, hidden)."""
    newlines = image_newline.expand(len(grid), 1, -1)
    return torch.cat([grid, newlines], dim=1)
