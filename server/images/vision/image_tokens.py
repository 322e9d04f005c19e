"""How many rows of the prompt an image takes, told without computing them."""

from llava_spec.anyres import Size, select_best_resolution, unpad_margins
from server.checkpoint.vision import ImageConfig, VisionConfig


def count_base_view_tokens(vision: VisionConfig) -> int:
    """Return the rows of an image of which there is the base view only."""
    return vision.num_image_tokens + vision.has_image_newline


def count_image_tokens(image_size: Size, vision: VisionConfig, image: ImageConfig) -> int:
    """Return the rows of an image of `image_size` (width, height), as `merge_views` lays them out.

    https://github.com/haotian-liu/LLaVA, `prepare_inputs_labels_for_multimodal`
    """
    if not image.grid_pinpoints:
        return count_base_view_tokens(vision)
    width, height = select_best_resolution(image_size, image.grid_pinpoints)
    columns, lines = width // image.size, height // image.size
    if vision.patch_merge == "flat":
        return (1 + columns * lines) * vision.num_image_tokens
    columns, lines = columns * vision.patches_per_side, lines * vision.patches_per_side
    if vision.has_image_newline:
        margins = unpad_margins(image_size, (columns, lines))
        columns, lines = columns - 2 * margins[0] + 1, lines - 2 * margins[1]
    return vision.num_image_tokens + columns * lines
