"""What a release says about images: aspect ratio, grid, features."""

import ast
from dataclasses import dataclass
from typing import Any, Final

from model_store.convert.json_file import Json
from model_store.errors import ConversionError

_ASPECT_RATIOS: Final = ("square", "pad", "anyres")
_STRATEGIES: Final = {"patch": "default", "cls_patch": "full"}
_MERGE_TYPES: Final = ("flat", "spatial", "spatial_unpad")


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """LLaVA's image settings in transformers' words."""

    aspect_ratio: str
    feature_layer: int
    feature_select_strategy: str
    patch_merge_type: str
    grid_pinpoints: list[list[int]]  # (height, width) each; none but for anyres

    @property
    def anyres(self) -> bool:
        """Whether images are cut into tiles: LLaVA-NeXT."""
        return self.aspect_ratio == "anyres"

    @property
    def has_newline(self) -> bool:
        """Whether rows of tile features end with `image_newline`."""
        return self.anyres and "unpad" in self.patch_merge_type


def read_image_config(config: Json, image_size: int) -> ImageConfig:
    """Read the image settings, with the released code's defaults. Raises `ConversionError`."""
    aspect_ratio = _one_of(config, "image_aspect_ratio", "square", _ASPECT_RATIOS)
    merge_type = _one_of(config, "mm_patch_merge_type", "flat", _MERGE_TYPES)
    feature = _one_of(config, "mm_vision_select_feature", "patch", tuple(_STRATEGIES))
    layer = config.get("mm_vision_select_layer", -2)
    if not isinstance(layer, int):
        raise ConversionError(f"mm_vision_select_layer {layer!r} is not a number")
    pinpoints = _grid_pinpoints(config, image_size) if aspect_ratio == "anyres" else []
    return ImageConfig(aspect_ratio, layer, _STRATEGIES[feature], merge_type, pinpoints)


def _one_of(config: Json, key: str, default: str, known: tuple[str, ...]) -> str:
    value = config.get(key) or default
    if value not in known:
        raise ConversionError(f"{key} {value!r} is not supported; what is: {', '.join(known)}")
    return str(value)


def _grid_pinpoints(config: Json, image_size: int) -> list[list[int]]:
    """Return the pinpoints as transformers has them, (height, width): LLaVA's are (width, height).

    Their order, which decides between equally good ones, stays.
    """
    listed = config.get("image_grid_pinpoints")
    try:
        # Training scripts pass the list as a string, and some configs keep it so.
        pinpoints: Any = ast.literal_eval(listed) if isinstance(listed, str) else listed
        swapped = [[int(height), int(width)] for width, height in pinpoints]
    except (SyntaxError, TypeError, ValueError):
        raise ConversionError(f"image_grid_pinpoints {listed!r} is not a list of sizes") from None
    if not swapped or any(side <= 0 or side % image_size for sizes in swapped for side in sizes):
        raise ConversionError(
            f"image_grid_pinpoints {listed!r} are not multiples of the tower's {image_size}"
        )
    return swapped
