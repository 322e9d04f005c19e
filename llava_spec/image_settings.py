"""The image settings of LLaVA's configs: aspect ratios, patch merging, normalisation, padding."""

import re
from typing import Final, Literal, get_args

# `stretch` is SigLIP's own preprocessing, which has no name in LLaVA's configs.
AspectRatio = Literal["square", "pad", "anyres", "stretch"]
PatchMerge = Literal["flat", "spatial", "spatial_unpad"]
Channels = tuple[float, float, float]

ASPECT_RATIOS: Final[tuple[AspectRatio, ...]] = ("square", "pad", "anyres")
# LLaVA-OneVision's `anyres_max_N`: tiles whose features are scaled down to about those of N views.
ANYRES_MAX: Final = re.compile(r"anyres_max_([1-9]\d{0,3})")
PATCH_MERGES: Final[tuple[PatchMerge, ...]] = get_args(PatchMerge)

# Mean and standard deviation of CLIP's training images, RGB, of values from 0 to 1.
CLIP_MEAN: Final[Channels] = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Final[Channels] = (0.26862954, 0.26130258, 0.27577711)


def compute_pad_color(mean: Channels) -> tuple[int, int, int]:
    """Return the mean as RGB, rounded down: the released code's `expand2square` pads with it."""
    red, green, blue = (int(255 * channel) for channel in mean)
    return red, green, blue
