"""A release's image settings: aspect ratio, grid, features."""

import ast
import re
from dataclasses import dataclass
from typing import Any, Final

from llava_spec.image_settings import ANYRES_MAX, ASPECT_RATIOS, PATCH_MERGES
from model_store.convert.json_file import Json
from model_store.convert.s2 import read_scales
from model_store.errors import ConversionError

# LLaVA's `mm_vision_select_feature` -> transformers' `vision_feature_select_strategy`.
_STRATEGIES: Final = {"patch": "default", "cls_patch": "full"}
_PINPOINT_RANGE: Final = re.compile(r"\((\d)x(\d)\),\.\.\.,\((\d)x(\d)\)")


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """LLaVA's image settings under transformers' names."""

    aspect_ratio: str
    feature_layer: int
    feature_select_strategy: str
    patch_merge_type: str
    grid_pinpoints: list[list[int]]  # (height, width) each; empty unless anyres
    s2_scales: tuple[int, ...] = ()  # the image's sizes, the smallest first

    @property
    def is_anyres(self) -> bool:
        """Whether images are cut into tiles, as in LLaVA-NeXT and LLaVA-OneVision."""
        return self.aspect_ratio.startswith("anyres")

    @property
    def is_onevision(self) -> bool:
        """Whether the number of features is limited, as in LLaVA-OneVision."""
        return ANYRES_MAX.fullmatch(self.aspect_ratio) is not None

    @property
    def has_image_newline(self) -> bool:
        """Whether `image_newline` follows each row of tile features."""
        return self.is_anyres and "unpad" in self.patch_merge_type


def read_image_settings(
    config: Json, image_size: int, *, has_class_token: bool = True
) -> ImageSettings:
    """Read the image settings, with the released code's defaults. Raises `ConversionError`.

    `image_size` is the tower's; `has_class_token` is whether it has a class token.
    """
    aspect_ratio = _read_aspect_ratio(config)
    merge_type = _read_choice(config, "mm_patch_merge_type", "flat", PATCH_MERGES)
    feature = _read_choice(config, "mm_vision_select_feature", "patch", tuple(_STRATEGIES))
    layer = config.get("mm_vision_select_layer", -2)
    if not isinstance(layer, int):
        raise ConversionError(f"mm_vision_select_layer {layer!r} is not a number")
    strategy = _STRATEGIES[feature]
    if not has_class_token:
        # The released code takes SigLIP's last layer that is not left out, whatever is set.
        layer, strategy = -1, "full"
    is_anyres = aspect_ratio.startswith("anyres")
    listed = config.get("image_grid_pinpoints")
    pinpoints = read_grid_pinpoints(listed, image_size) if is_anyres else []
    scales = read_scales(config, image_size)
    if scales and (is_anyres or strategy == "full"):
        raise ConversionError(
            "s2 is supported for single views of a CLIP tower without its class token only"
        )
    return ImageSettings(aspect_ratio, layer, strategy, merge_type, pinpoints, scales)


def _read_aspect_ratio(config: Json) -> str:
    value = config.get("image_aspect_ratio") or "square"
    if value in ASPECT_RATIOS or (isinstance(value, str) and ANYRES_MAX.fullmatch(value)):
        return str(value)
    raise ConversionError(
        f"image_aspect_ratio {value!r} is not supported; supported: {', '.join(ASPECT_RATIOS)},"
        " anyres_max_N with N from 1"
    )


def _read_choice(config: Json, key: str, default: str, supported: tuple[str, ...]) -> str:
    value = config.get(key) or default
    if value not in supported:
        raise ConversionError(
            f"{key} {value!r} is not supported; supported: {', '.join(supported)}"
        )
    return str(value)


def read_grid_pinpoints(listed: Any, image_size: int) -> list[list[int]]:
    """Return the pinpoints as (height, width), as transformers has them; LLaVA has (width, height).

    Their order is kept: it decides between equally good ones. `image_size` is the tower's. Raises
    `ConversionError`.
    """
    try:
        pinpoints = _parse_grid_pinpoints(listed, image_size)
        pinpoints_hw = [[int(height), int(width)] for width, height in pinpoints]
    except (SyntaxError, TypeError, ValueError):
        raise ConversionError(f"image_grid_pinpoints {listed!r} is not a list of sizes") from None
    if not pinpoints_hw or any(
        side <= 0 or side % image_size for sizes in pinpoints_hw for side in sizes
    ):
        raise ConversionError(
            f"image_grid_pinpoints {listed!r} are not multiples of the tower's {image_size}"
        )
    return pinpoints_hw


def _parse_grid_pinpoints(listed: Any, size: int) -> Any:
    """Return the pinpoints of a list, of a list in a string, or of a range of tiles.

    Training scripts pass strings, and some configs keep them. `(1x1),...,(6x6)` stands for every
    grid of up to six by six tiles.
    """
    if not isinstance(listed, str):
        return listed
    match = _PINPOINT_RANGE.fullmatch("".join(listed.split()))
    if match is None:
        return ast.literal_eval(listed)
    first_width, first_height, last_width, last_height = map(int, match.groups())
    return [
        (width * size, height * size)
        for width in range(first_width, last_width + 1)
        for height in range(first_height, last_height + 1)
    ]
