"""Checks that a release's parts form a model of one of transformers' LLaVA classes."""

from model_store.convert.image_settings import ImageSettings
from model_store.convert.release import Release
from model_store.convert.vision_tower import ConvertedVisionTower
from model_store.errors import ConversionError


def check_architecture(
    release: Release, tower: ConvertedVisionTower, images: ImageSettings
) -> None:
    """Raise `ConversionError` where no class has this tower, language model and preprocessing.

    `LlavaQwenForCausalLM` is LLaVA-OneVision: SigLIP, and tiles with a limit; or CLIP, a LLaVA-1.5
    or LLaVA-NeXT with Qwen2 in place of Vicuna. The others are CLIP.
    """
    layers = tower.config["num_hidden_layers"]
    if not -layers - 1 <= images.feature_layer <= layers:
        raise ConversionError(
            f"mm_vision_select_layer {images.feature_layer} is not one of the tower's {layers}"
        )
    is_plain = tower.kind.has_class_token and not images.is_onevision
    is_onevision = release.language_model == "qwen2" and not is_plain
    if is_onevision:
        _check_onevision(release, images)
    if is_onevision == tower.kind.has_class_token or is_onevision != images.is_onevision:
        raise ConversionError(
            f"{release.path}: a tower of type {tower.kind.model_type!r} and image_aspect_ratio "
            f"{images.aspect_ratio!r} are not supported for a language model of type "
            f"{release.language_model!r}"
        )


def _check_onevision(release: Release, images: ImageSettings) -> None:
    """Raise `ConversionError` for other models of this class, such as LLaVA-Video."""
    if images.patch_merge_type != "spatial_unpad":
        raise ConversionError(
            f"{release.path}: mm_patch_merge_type {images.patch_merge_type!r} is not supported for"
            " LlavaQwenForCausalLM; supported: spatial_unpad"
        )
    position = release.config.get("mm_newline_position") or "one_token"
    if position != "one_token":
        raise ConversionError(
            f"{release.path}: mm_newline_position {position!r} is not supported: transformers has"
            " no class with it"
        )
