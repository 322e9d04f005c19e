"""How an image of any shape becomes square views: cropped, padded, stretched or tiled."""

from collections.abc import Mapping
from typing import Any, Final

from llava_spec.image_settings import ANYRES_MAX, AspectRatio

ANYRES_MODELS: Final = ("llava_next", "llava_next_video", "llava_onevision")


def read_aspect_ratio(
    config: Mapping[str, Any], processor: Mapping[str, Any]
) -> tuple[AspectRatio, int | None]:
    """Return the aspect ratio, and the N of `anyres_max_N`; `processor` decides for SigLIP.

    Raises `ValueError` where it is not supported.
    """
    if config["model_type"] == "llava_onevision":
        return "anyres", _read_max_views(config)
    match config.get("image_aspect_ratio", _get_default(config)):
        case "anyres":
            return "anyres", None
        case "pad":
            return "pad", None
        case None | "square":
            return _choose_view(config, processor), None
        case other:
            raise ValueError(f"image_aspect_ratio {other!r} is not supported")


def _get_default(config: Mapping[str, Any]) -> str:
    """transformers' conversions drop the key; LLaVA-1.5 was trained on padded squares."""
    if config["model_type"] in ANYRES_MODELS:
        return "anyres"
    return "square" if _is_siglip(config) else "pad"


def _read_max_views(config: Mapping[str, Any]) -> int:
    """Return N of LLaVA-OneVision's `vision_aspect_ratio`, the only kind that transformers has."""
    aspect_ratio = config["vision_aspect_ratio"]
    match = ANYRES_MAX.fullmatch(aspect_ratio) if isinstance(aspect_ratio, str) else None
    if match is None:
        raise ValueError(f"vision_aspect_ratio {aspect_ratio!r} is not anyres_max_N")
    return int(match[1])


def _choose_view(config: Mapping[str, Any], processor: Mapping[str, Any]) -> AspectRatio:
    """Return what the tower's own processor does: CLIP's crops, SigLIP's usually stretches."""
    if not _is_siglip(config) or processor.get("do_center_crop"):
        return "square"
    return "pad" if processor.get("do_pad") else "stretch"


def _is_siglip(config: Mapping[str, Any]) -> bool:
    return bool(config["vision_config"]["model_type"] == "siglip_vision_model")
