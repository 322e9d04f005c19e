"""Counts the image tokens of an image without computing them."""

from llava_spec.anyres import Size, limit_grid, select_best_resolution, unpad_margins
from server.checkpoint.vision import ImageConfig, VisionConfig


def count_base_view_tokens(vision: VisionConfig) -> int:
    """Return the number of image tokens of a base view alone."""
    return vision.num_image_tokens + vision.has_image_newline


def count_image_tokens(image_size: Size, vision: VisionConfig, image: ImageConfig) -> int:
    """Return the number of tokens that `merge_views` returns for an `image_size` (width, height).

    https://github.com/haotian-liu/LLaVA, `prepare_inputs_labels_for_multimodal`
    """
    if not image.grid_pinpoints:
        return count_base_view_tokens(vision)
    width, height = select_best_resolution(image_size, image.grid_pinpoints)
    columns, rows = width // image.size, height // image.size
    if vision.patch_merge == "flat":
        return (1 + columns * rows) * vision.num_image_tokens
    columns, rows = columns * vision.patches_per_side, rows * vision.patches_per_side
    if vision.has_image_newline:
        left, top = unpad_margins(image_size, (columns, rows), image.unpad_digits)
        columns, rows = columns - 2 * left, rows - 2 * top
        if image.max_views is not None:
            columns, rows = limit_grid(
                (columns, rows), image.max_views * vision.patches_per_side**2
            )
        columns += 1
    return vision.num_image_tokens + columns * rows
