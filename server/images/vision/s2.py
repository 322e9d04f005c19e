"""S2: features of an image at several scales, in tiles of the tower's size.

Follows `CLIPVisionTowerS2` of the released code and the package that it calls.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Tower = Callable[[Tensor], Tensor]


def extract_multiscale_features(
    tower: Tower, pixel_values: Tensor, scales: Sequence[int]
) -> Tensor:
    """Return the tower's features at each scale, concatenated along the hidden dimension.

    `pixel_values` is (views, 3, size, size). `scales` are sizes in pixels, the smallest first: that
    is the tower's, and the others are multiples of it. Returns (views, patches, scales * hidden).
    """
    features = [_extract_at(tower, pixel_values, scale, scales[0]) for scale in scales]
    return torch.cat(features, dim=-1)


def _extract_at(tower: Tower, pixel_values: Tensor, scale: int, tile_size: int) -> Tensor:
    """Return the features at one scale, averaged over squares to the grid of a single tile."""
    resized = interpolate(pixel_values.float(), size=scale, mode="bicubic").to(pixel_values.dtype)
    rows = scale // tile_size
    # As many tiles at once as there are views, which is what the tower has room for.
    features = [tower(tile) for tile in _split(resized, tile_size)]
    if rows == 1:
        return features[0]
    side = int(features[0].shape[1] ** 0.5)
    tiles = torch.stack(features, dim=1).unflatten(2, (side, side)).unflatten(1, (rows, rows))
    grid = tiles.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)  # (views, hidden, h, w)
    pooled = interpolate(grid.float(), size=side, mode="area").to(grid.dtype)
    return pooled.flatten(2).transpose(1, 2)  # (views, patches, hidden)


def _split(pixel_values: Tensor, size: int) -> list[Tensor]:
    """Return the tiles (views, 3, size, size), row by row."""
    return [tile for row in pixel_values.split(size, dim=2) for tile in row.split(size, dim=3)]
