"""The JSON files of the converted checkpoint."""

from typing import Final

from llava_spec.s2 import format_s2_scales
from model_store.convert.image_settings import ImageSettings
from model_store.convert.json_file import Json, read_json
from model_store.convert.projector import read_projector_type
from model_store.convert.release import Release
from model_store.convert.tokenizer import IMAGE_TOKEN, VIDEO_TOKEN, ReleasedTokenizer
from model_store.convert.vision_tower import ConvertedVisionTower

_BICUBIC: Final = 3
# The release's recommended sampling. Lengths and token ids come from the conversion.
_SAMPLING: Final = ("do_sample", "temperature", "top_p", "top_k", "repetition_penalty")


def build_config(
    release: Release,
    text: Json,
    tower: ConvertedVisionTower,
    images: ImageSettings,
    tokenizer: ReleasedTokenizer,
) -> Json:
    """Return config.json without `dtype` and `conv_mode`: transformers' keys, then LLaVA's."""
    config: Json = {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "vision_config": tower.config,
        "text_config": text,
        "image_token_index": tokenizer.token_id(IMAGE_TOKEN),
        "image_seq_length": tower.num_patches + (images.feature_select_strategy == "full"),
        "projector_hidden_act": "gelu",
        "multimodal_projector_bias": True,
        "vision_feature_layer": images.feature_layer,
        "vision_feature_select_strategy": images.feature_select_strategy,
        "tie_word_embeddings": text["tie_word_embeddings"],
        "pad_token_id": text["pad_token_id"],
        "mm_projector_type": read_projector_type(release.config),
        "mm_patch_merge_type": images.patch_merge_type,
        "mm_use_im_start_end": bool(release.config.get("mm_use_im_start_end", False)),
        "image_aspect_ratio": images.aspect_ratio,
    }
    if images.s2_scales:
        config |= {"s2": True, "s2_scales": format_s2_scales(images.s2_scales)}
    if images.is_anyres:
        config |= {
            "architectures": ["LlavaNextForConditionalGeneration"],
            "model_type": "llava_next",
            "image_grid_pinpoints": images.grid_pinpoints,
        }
    if images.is_onevision:
        config |= {
            "architectures": ["LlavaOnevisionForConditionalGeneration"],
            "model_type": "llava_onevision",
            "video_token_index": tokenizer.token_id(VIDEO_TOKEN),
            "vision_aspect_ratio": images.aspect_ratio,
        }
    return config


def build_preprocessor_config(tower: ConvertedVisionTower, images: ImageSettings) -> Json:
    """Return preprocessor_config.json for transformers' image processors."""
    size = tower.config["image_size"]
    config: Json = {
        "image_processor_type": "LlavaImageProcessor",
        "processor_class": "LlavaProcessor",
        "do_convert_rgb": True,
        "do_pad": images.aspect_ratio == "pad",
        "do_resize": True,
        "size": {"shortest_edge": size},
        "resample": _BICUBIC,
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": tower.image_mean,
        "image_std": tower.image_std,
    }
    if images.is_onevision:
        return config | _build_onevision_preprocessor(size, images)
    if images.is_anyres:
        config |= {
            "image_processor_type": "LlavaNextImageProcessor",
            "processor_class": "LlavaNextProcessor",
            "do_pad": True,  # in this class: pads to the batch's largest number of tiles
            "image_grid_pinpoints": images.grid_pinpoints,
        }
    return config


def _build_onevision_preprocessor(size: int, images: ImageSettings) -> Json:
    """Return what LLaVA-OneVision's processor has in place of CLIP's resizing and cropping."""
    return {
        "image_processor_type": "LlavaOnevisionImageProcessor",
        "processor_class": "LlavaOnevisionProcessor",
        "do_pad": True,  # in this class: pads to the batch's largest number of tiles
        "size": {"height": size, "width": size},
        "do_center_crop": False,
        "crop_size": None,
        "image_grid_pinpoints": images.grid_pinpoints,
    }


def build_video_preprocessor_config(tower: ConvertedVisionTower) -> Json:
    """Return video_preprocessor_config.json for transformers' LlavaOnevisionVideoProcessor."""
    size = tower.config["image_size"]
    return {
        "video_processor_type": "LlavaOnevisionVideoProcessor",
        "processor_class": "LlavaOnevisionProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": size, "width": size},
        "resample": _BICUBIC,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": tower.image_mean,
        "image_std": tower.image_std,
    }


def build_processor_config(tower: ConvertedVisionTower, images: ImageSettings) -> Json:
    """Return processor_config.json for the processor class of transformers."""
    if images.is_onevision:
        return {
            "processor_class": "LlavaOnevisionProcessor",
            "num_image_tokens": tower.num_patches,
            "vision_feature_select_strategy": images.feature_select_strategy,
            "vision_aspect_ratio": images.aspect_ratio,
            "image_token": IMAGE_TOKEN,
            "video_token": VIDEO_TOKEN,
        }
    return {
        "processor_class": "LlavaNextProcessor" if images.is_anyres else "LlavaProcessor",
        "patch_size": tower.config["patch_size"],
        "vision_feature_select_strategy": images.feature_select_strategy,
        "num_additional_image_tokens": 1,  # the class token
        "image_token": IMAGE_TOKEN,
    }


def build_generation_config(release: Release, tokenizer: ReleasedTokenizer) -> Json:
    """Return generation_config.json: the release's sampling, the tokenizer's ids.

    Llama 3's releases list two tokens that end an answer; both stay.
    """
    released = read_json(release.language_path / "generation_config.json", required=False)
    sampling: Json = {key: released[key] for key in _SAMPLING if key in released}
    eos, listed = tokenizer.token_id(tokenizer.eos_token), released.get("eos_token_id")
    bos = tokenizer.bos_token
    return sampling | {
        **({} if bos is None else {"bos_token_id": tokenizer.token_id(bos)}),
        "eos_token_id": sorted({eos, *listed}) if isinstance(listed, list) else eos,
        "pad_token_id": tokenizer.token_id(tokenizer.pad_token),
    }
