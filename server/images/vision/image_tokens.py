"""Counts the image tokens of an image without computing them."""

from llava_spec.anyres import Size, select_best_resolution, unpad_margins
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
        margins = unpad_margins(image_size, (columns, rows))
        columns, rows = columns - 2 * margins[0] + 1, rows - 2 * margins[1]
    return vision.num_image_tokens + columns * rows
