"""What a checkpoint says about its vision side: tower, projector, and how images are prepared."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from llava_spec.anyres import Size

AspectRatio = Literal["square", "pad", "anyres"]
PatchMerge = Literal["flat", "spatial", "spatial_unpad"]
Channels = tuple[float, float, float]

LAYERS: Final = "num_hidden_layers"

CLIP_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Final = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class VisionConfig:
    """The CLIP tower and the projector, in the words of transformers' `CLIPVisionConfig`."""

    image_size: int
    patch_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int  # layers that are run: those up to the one LLaVA reads
    num_heads: int
    hidden_act: str
    layer_norm_eps: float
    keep_class_token: bool
    projector_hidden_act: str
    text_hidden_size: int
    projector_depth: int = 2  # linear layers: 0 is `identity`, 1 is `linear`
    projector_bias: bool = True
    patch_merge: PatchMerge = "flat"

    @property
    def patches_per_side(self) -> int:
        """Patches along each side of a view."""
        return self.image_size // self.patch_size

    @property
    def num_image_tokens(self) -> int:
        """Rows of one view."""
        return self.patches_per_side**2 + self.keep_class_token

    @property
    def has_image_newline(self) -> bool:
        """Whether a learned row ends each row of the grid."""
        return self.patch_merge == "spatial_unpad"


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """How an image becomes the tower's input. `grid_pinpoints` are (width, height), for anyres."""

    size: int
    aspect_ratio: AspectRatio
    mean: Channels
    std: Channels
    grid_pinpoints: tuple[Size, ...] = ()

    @property
    def pad_color(self) -> tuple[int, int, int]:
        """The mean, cut to integers: what the released code pads with."""
        red, green, blue = (int(255 * channel) for channel in self.mean)
        return red, green, blue

    @property
    def max_tiles(self) -> int:
        """Most tiles that an image is cut into, the base view not counted."""
        areas = (width * height for width, height in self.grid_pinpoints)
        return max(areas, default=0) // self.size**2


def max_image_tokens(vision: VisionConfig, image: ImageConfig) -> int:
    """Return a bound on the rows that one image can take."""
    views = 1 + image.max_tiles
    newlines = views * vision.patches_per_side if vision.has_image_newline else 0
    return views * vision.num_image_tokens + newlines


def read_vision_config(config: Mapping[str, Any]) -> VisionConfig:
    """Read tower and projector out of a checkpoint's `config.json`.

    Raises `ValueError` where a value is not supported, `KeyError` where one is missing.
    """
    tower, layer = config["vision_config"], config["vision_feature_layer"]
    if tower.get("model_type") != "clip_vision_model":
        raise ValueError("only CLIP vision towers are supported")
    if not isinstance(layer, int) or not 0 <= _layers_to_run(tower, layer) <= tower[LAYERS]:
        raise ValueError(f"vision_feature_layer {layer!r} is not a layer of the tower")
    vision = VisionConfig(
        image_size=tower["image_size"],
        patch_size=tower["patch_size"],
        hidden_size=tower["hidden_size"],
        intermediate_size=tower["intermediate_size"],
        num_layers=_layers_to_run(tower, layer),
        num_heads=tower["num_attention_heads"],
        hidden_act=tower.get("hidden_act", "quick_gelu"),
        layer_norm_eps=tower.get("layer_norm_eps", 1e-5),
        keep_class_token=_keep_class_token(config["vision_feature_select_strategy"]),
        projector_hidden_act=config.get("projector_hidden_act", "gelu"),
        # LLaVA-1.5's converted configs leave out what equals transformers' Llama defaults.
        text_hidden_size=config["text_config"].get("hidden_size", 4096),
        projector_depth=_projector_depth(config),
        projector_bias=config.get("multimodal_projector_bias", True),
        patch_merge=_patch_merge(config),
    )
    _check_consistent(vision)
    return vision


def read_image_config(config: Mapping[str, Any], processor: Mapping[str, Any]) -> ImageConfig:
    """Read how images are prepared out of `config.json` and `preprocessor_config.json`.

    Raises `ValueError` where a value is not supported, `KeyError` where one is missing.
    """
    mean, std = processor.get("image_mean", CLIP_MEAN), processor.get("image_std", CLIP_STD)
    size, aspect_ratio = config["vision_config"]["image_size"], _aspect_ratio(config)
    return ImageConfig(
        size=size,
        aspect_ratio=aspect_ratio,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        grid_pinpoints=_grid_pinpoints(config, size) if aspect_ratio == "anyres" else (),
    )


def _layers_to_run(tower: Mapping[str, Any], feature_layer: int) -> int:
    """Return how many layers lead to `hidden_states[feature_layer]` (index 0: the embeddings)."""
    return feature_layer if feature_layer >= 0 else int(tower[LAYERS]) + 1 + feature_layer


def _keep_class_token(strategy: str) -> bool:
    """Accept transformers' words and LLaVA's own (`mm_vision_select_feature`)."""
    if strategy not in ("default", "patch", "full", "cls_patch"):
        raise ValueError(f"unknown vision_feature_select_strategy {strategy!r}")
    return strategy in ("full", "cls_patch")


def _projector_depth(config: Mapping[str, Any]) -> int:
    """Return the number of linear layers; transformers' own checkpoints do not say and have two."""
    kind = config.get("mm_projector_type", "mlp2x_gelu")
    if kind == "identity":
        return 0
    if kind == "linear":
        return 1
    if isinstance(kind, str) and (found := re.fullmatch(r"mlp(\d+)x_gelu", kind)):
        return max(1, int(found[1]))  # the released code always makes the first
    raise ValueError(f"mm_projector_type {kind!r} is not supported")


def _aspect_ratio(config: Mapping[str, Any]) -> AspectRatio:
    """Return `image_aspect_ratio`, or how a checkpoint that does not say was trained.

    transformers' conversions drop the key; LLaVA-1.5 was trained on padded squares.
    """
    default = "anyres" if config["model_type"] == "llava_next" else "pad"
    match config.get("image_aspect_ratio", default):
        case "pad":
            return "pad"
        case "anyres":
            return "anyres"
        case None | "square":
            return "square"
        case other:
            raise ValueError(f"image_aspect_ratio {other!r} is not supported")


def _patch_merge(config: Mapping[str, Any]) -> PatchMerge:
    """Return `mm_patch_merge_type`, which the released code heeds for anyres only."""
    default = "spatial_unpad" if config["model_type"] == "llava_next" else "flat"
    kind = config.get("mm_patch_merge_type", default)
    if kind not in ("flat", "spatial", "spatial_unpad"):
        raise ValueError(f"mm_patch_merge_type {kind!r} is not supported")
    merge: PatchMerge = kind if _aspect_ratio(config) == "anyres" else "flat"
    return merge


def _grid_pinpoints(config: Mapping[str, Any], size: int) -> tuple[Size, ...]:
    """Turn transformers' [[height, width], …] into sizes, each of them whole tiles."""
    pinpoints = config["image_grid_pinpoints"]
    if not isinstance(pinpoints, list) or not pinpoints:
        raise ValueError(f"image_grid_pinpoints {pinpoints!r} is not a list of [height, width]")
    return tuple(_grid_pinpoint(pinpoint, size) for pinpoint in pinpoints)


def _grid_pinpoint(pinpoint: Any, size: int) -> Size:
    match pinpoint:
        case [int(height), int(width)] if min(height, width) > 0:
            if height % size or width % size:
                raise ValueError(f"grid pinpoint {pinpoint} is not made of tiles of {size} pixels")
            return width, height
    raise ValueError(f"grid pinpoint {pinpoint!r} is not [height, width]")


def _check_consistent(vision: VisionConfig) -> None:
    if vision.projector_depth == 0 and vision.hidden_size != vision.text_hidden_size:
        raise ValueError(
            f"an identity projector cannot turn {vision.hidden_size} features into "
            f"{vision.text_hidden_size}"
        )
    if vision.keep_class_token and vision.patch_merge != "flat":
        raise ValueError(
            f"mm_patch_merge_type {vision.patch_merge!r} has no place for the class token that "
            "vision_feature_select_strategy keeps"
        )
