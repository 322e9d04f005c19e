"""A release's image settings: aspect ratio, grid, features."""

import ast
from dataclasses import dataclass
from typing import Any, Final

from llava_spec.image_settings import ASPECT_RATIOS, PATCH_MERGES
from model_store.convert.json_file import Json
from model_store.errors import ConversionError

# LLaVA's `mm_vision_select_feature` -> transformers' `vision_feature_select_strategy`.
_STRATEGIES: Final = {"patch": "default", "cls_patch": "full"}


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """LLaVA's image settings under transformers' names."""

    aspect_ratio: str
    feature_layer: int
    feature_select_strategy: str
    patch_merge_type: str
    grid_pinpoints: list[list[int]]  # (height, width) each; empty unless anyres

    @property
    def is_anyres(self) -> bool:
        """Whether images are cut into tiles, as in LLaVA-NeXT."""
        return self.aspect_ratio == "anyres"

    @property
    def has_image_newline(self) -> bool:
        """Whether `image_newline` follows each row of tile features."""
        return self.is_anyres and "unpad" in self.patch_merge_type


def read_image_settings(config: Json, image_size: int) -> ImageSettings:
    """Read the image settings, with the released code's defaults. Raises `ConversionError`."""
    aspect_ratio = _read_choice(config, "image_aspect_ratio", "square", ASPECT_RATIOS)
    merge_type = _read_choice(config, "mm_patch_merge_type", "flat", PATCH_MERGES)
    feature = _read_choice(config, "mm_vision_select_feature", "patch", tuple(_STRATEGIES))
    layer = config.get("mm_vision_select_layer", -2)
    if not isinstance(layer, int):
        raise ConversionError(f"mm_vision_select_layer {layer!r} is not a number")
    pinpoints = _read_grid_pinpoints(config, image_size) if aspect_ratio == "anyres" else []
    return ImageSettings(aspect_ratio, layer, _STRATEGIES[feature], merge_type, pinpoints)


def _read_choice(config: Json, key: str, default: str, supported: tuple[str, ...]) -> str:
    value = config.get(key) or default
    if value not in supported:
        raise ConversionError(f"{key} {value!r} is not supported; what is: {', '.join(supported)}")
    return str(value)


def _read_grid_pinpoints(config: Json, image_size: int) -> list[list[int]]:
    """Return the pinpoints as (height, width), as transformers has them; LLaVA has (width, height).

    Their order is kept: it decides between equally good ones.
    """
    listed = config.get("image_grid_pinpoints")
    try:
        # Training scripts pass the list as a string, and some configs keep it so.
        pinpoints: Any = ast.literal_eval(listed) if isinstance(listed, str) else listed
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
