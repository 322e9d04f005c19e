"""A checkpoint's vision side: tower, projector and image preprocessing, from its configs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from llava_spec.anyres import Size
from llava_spec.image_settings import (
    PATCH_MERGES,
    AspectRatio,
    Channels,
    PatchMerge,
    compute_pad_color,
)
from llava_spec.projector import ProjectorConfig, parse_projector_type
from server.checkpoint.activation import read_activation
from server.checkpoint.aspect_ratio import ANYRES_MODELS, read_aspect_ratio
from server.checkpoint.feature_layers import read_feature_layers
from server.checkpoint.s2 import read_scales
from server.checkpoint.whole_number import read_whole_number

TowerKind = Literal["clip", "siglip"]

TOWERS: Final[Mapping[str, TowerKind]] = {
    "clip_vision_model": "clip",
    "siglip_vision_model": "siglip",
}
LLAVA_1_5_PROJECTOR: Final = ProjectorConfig("mlp", 2)


@dataclass(frozen=True, slots=True)
class VisionConfig:
    """The tower and the projector. Names are those of transformers' `CLIPVisionConfig`.

    `keep_class_token` is false where the first token of the tower's is dropped: CLIP's class token.
    `feature_layers` are the hidden states to concatenate; empty means the last of `num_layers`.
    `s2_scales` are the sizes at which the tower sees an image; empty means its own alone.
    """

    image_size: int
    patch_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int  # layers to run, up to the last one whose features LLaVA uses
    num_heads: int
    hidden_act: str
    layer_norm_eps: float
    keep_class_token: bool
    projector_hidden_act: str
    text_hidden_size: int
    projector: ProjectorConfig = LLAVA_1_5_PROJECTOR
    projector_bias: bool = True
    patch_merge: PatchMerge = "flat"
    feature_layers: tuple[int, ...] = ()
    projector_layernorm_eps: float | None = None  # None: no layer norm before the projector
    tower: TowerKind = "clip"
    s2_scales: tuple[int, ...] = ()

    @property
    def feature_size(self) -> int:
        """The width of the features that the projector gets."""
        return self.hidden_size * max(1, len(self.feature_layers)) * max(1, len(self.s2_scales))

    @property
    def patches_per_side(self) -> int:
        """The number of patches along each side of a view."""
        return self.image_size // self.patch_size

    @property
    def num_image_tokens(self) -> int:
        """The number of image tokens of one view."""
        dropped = not self.keep_class_token
        return self.patches_per_side**2 + self.has_class_token - dropped

    @property
    def has_class_token(self) -> bool:
        """Whether the tower puts a class token before the patches."""
        return self.tower == "clip"

    @property
    def has_image_newline(self) -> bool:
        """Whether a learned embedding follows each row of the patch grid."""
        return self.patch_merge == "spatial_unpad"


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The image preprocessing. `grid_pinpoints` are (width, height), and only for anyres.

    `max_views` is LLaVA-OneVision's N of `anyres_max_N`: the features of an image's tiles are
    scaled down to about those of N views, and the images of a request with several are not tiled.
    """

    size: int
    aspect_ratio: AspectRatio
    mean: Channels
    std: Channels
    grid_pinpoints: tuple[Size, ...] = ()
    max_views: int | None = None

    @property
    def pad_color(self) -> tuple[int, int, int]:
        """The color that the released code pads with."""
        return compute_pad_color(self.mean)

    @property
    def unpad_digits(self) -> int | None:
        """The digits that unpadding rounds to: transformers made LLaVA-OneVision's rule."""
        return None if self.max_views is None else 7


def read_vision_config(config: Mapping[str, Any]) -> VisionConfig:
    """Read tower and projector from a checkpoint's `config.json`.

    Raises `ValueError` where a value is not supported, `KeyError` where one is missing.
    """
    tower, feature_layers = config["vision_config"], read_feature_layers(config)
    if tower["model_type"] not in TOWERS:
        raise ValueError(
            f"a vision tower of type {tower['model_type']!r} is not supported; supported: "
            + ", ".join(TOWERS)
        )
    vision = VisionConfig(
        image_size=read_whole_number(tower, "image_size"),
        patch_size=read_whole_number(tower, "patch_size"),
        hidden_size=read_whole_number(tower, "hidden_size"),
        intermediate_size=read_whole_number(tower, "intermediate_size"),
        num_layers=max(feature_layers),
        num_heads=read_whole_number(tower, "num_attention_heads"),
        hidden_act=read_activation(tower, "hidden_act"),
        layer_norm_eps=tower["layer_norm_eps"],
        keep_class_token=_read_select_strategy(config),
        projector_hidden_act=read_activation(config, "projector_hidden_act"),
        text_hidden_size=config["text_config"]["hidden_size"],
        # transformers' own checkpoints lack the key and have two layers.
        projector=parse_projector_type(config.get("mm_projector_type", "mlp2x_gelu")),
        projector_bias=_read_projector_bias(config),
        patch_merge=_read_patch_merge(config),
        feature_layers=feature_layers,
        projector_layernorm_eps=_read_layernorm_eps(config),
        tower=TOWERS[tower["model_type"]],
        s2_scales=read_scales(config),
    )
    _check_consistent(vision)
    return vision


def _read_projector_bias(config: Mapping[str, Any]) -> bool:
    """Return whether the projector has biases; ViP-LLaVA's always has, in transformers, too."""
    return config["model_type"] == "vipllava" or bool(config["multimodal_projector_bias"])


def _read_select_strategy(config: Mapping[str, Any]) -> bool:
    """Return whether the class token is kept; ViP-LLaVA never keeps it.

    Accepts transformers' values and those of LLaVA's `mm_vision_select_feature`.
    """
    if config["model_type"] == "vipllava":
        return False
    strategy = config["vision_feature_select_strategy"]
    if strategy not in ("default", "patch", "full", "cls_patch"):
        raise ValueError(f"unknown vision_feature_select_strategy {strategy!r}")
    return strategy in ("full", "cls_patch")


def _read_layernorm_eps(config: Mapping[str, Any]) -> float | None:
    """Return the epsilon of the layer norm before ViP-LLaVA's projector."""
    if config["model_type"] != "vipllava":
        return None
    return float(config["projector_layernorm_eps"])


def _read_patch_merge(config: Mapping[str, Any]) -> PatchMerge:
    """Return `mm_patch_merge_type`, which the released code applies to anyres only."""
    default = "spatial_unpad" if config["model_type"] in ANYRES_MODELS else "flat"
    kind = config.get("mm_patch_merge_type", default)
    if kind not in PATCH_MERGES:
        raise ValueError(f"mm_patch_merge_type {kind!r} is not supported")
    merge: PatchMerge = kind if read_aspect_ratio(config, {})[0] == "anyres" else "flat"
    return merge


def _check_consistent(vision: VisionConfig) -> None:
    if vision.hidden_size % vision.num_heads:
        raise ValueError(
            f"hidden_size {vision.hidden_size} of the tower is not a multiple of"
            f" num_attention_heads {vision.num_heads}"
        )
    if vision.projector.kind == "identity" and vision.feature_size != vision.text_hidden_size:
        raise ValueError(
            f"an identity projector cannot turn {vision.feature_size} features into "
            f"{vision.text_hidden_size}"
        )
    if vision.num_image_tokens == vision.patches_per_side**2 or vision.patch_merge == "flat":
        return
    if vision.has_class_token:
        raise ValueError(
            f"mm_patch_merge_type {vision.patch_merge!r} has no place for the class token that "
            "vision_feature_select_strategy keeps"
        )
    raise ValueError(
        f"mm_patch_merge_type {vision.patch_merge!r} needs all patches, of which "
        "vision_feature_select_strategy drops the first: SigLIP has no class token"
    )
