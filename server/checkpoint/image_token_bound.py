"""The most image tokens that an image of any shape can have, from the configuration alone."""

from llava_spec.anyres import Size, limit_grid
from server.checkpoint.vision import ImageConfig, VisionConfig


def max_image_tokens(vision: VisionConfig, image: ImageConfig) -> int:
    """Return an upper bound on the image tokens of one image."""
    side = vision.patches_per_side
    grids = [
        (side * (width // image.size), side * (height // image.size))
        for width, height in image.grid_pinpoints
    ]
    if image.max_views is not None:
        limit = image.max_views * side**2
        return vision.num_image_tokens + max(_bound_limited(grid, limit) for grid in grids)
    views = 1 + max((columns * rows for columns, rows in grids), default=0) // side**2
    newlines = views * side if vision.has_image_newline else 0
    return views * vision.num_image_tokens + newlines


def _bound_limited(grid: Size, max_patches: int) -> int:
    """Return the most tokens of a grid, newlines included, that is scaled down to a limit.

    Unpadding crops columns or rows, as many on both sides; what is left may just escape being
    scaled down.
    """
    columns, rows = grid
    unpadded = [(kept, rows) for kept in range(columns, 0, -2)]
    unpadded += [(columns, kept) for kept in range(rows, 0, -2)]
    limited = (limit_grid(each, max_patches) for each in unpadded)
    return max((width + 1) * height for width, height in limited)
