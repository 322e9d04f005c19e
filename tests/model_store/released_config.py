"""Configurations exactly as in LLaVA's releases, sizes aside."""

from typing import Any, Final, Literal

Version = Literal[
    "v1",
    "v1.5",
    "v1.6-vicuna",
    "v1.6-mistral",
    "v1.6-34b",
    "sharegpt4v",
    "llava-med",
    "bakllava",
    "llama-3-next",
    "llama-3-xtuner",
]
Json = dict[str, Any]
HIDDEN: Final = 128
INTERMEDIATE: Final = 192
LAYERS: Final = 2
HEADS: Final = 4
VISION_HIDDEN: Final = 64
VISION_LAYERS: Final = 3
PATCH: Final = 14
VOCAB: Final = 480
LORA_RANK, LORA_ALPHA = 4, 8
# <im_patch>, <im_start> and <im_end>, which v1 was trained with.
V1_ADDED: Final = ("<im_patch>", "<im_start>", "<im_end>")
GENERATION: Final[Json] = {
    "_from_model_config": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "max_length": 4096,
    "pad_token_id": 0,
    "temperature": 0.9,
    "top_p": 0.6,
    "transformers_version": "4.31.0",
}


_SHAREGPT4V: Final[Json] = {
    "_name_or_path": "ShareGPT4V-7B",
    "architectures": ["Share4VLlamaForCausalLM"],
    "image_grid_pinpoints": None,
    "mm_projector_lr": None,
    "mm_vision_tower": "Lin-Chen/ShareGPT4V-7B_Pretrained_vit-large336-l12",
    "model_type": "share4v",
    "torch_dtype": "bfloat16",
    "tune_entire_model": False,
    "tune_vision_tower": False,
    "vision_tower_lr": None,
}
_MISTRAL: Final[Json] = {
    "architectures": ["LlavaMistralForCausalLM"],
    "max_position_embeddings": 32768,
    "model_type": "llava_mistral",
    "num_key_value_heads": HEADS // 2,
    "torch_dtype": "bfloat16",
}
_LLAVA_MED: Final[Json] = {
    "_name_or_path": "mistralai/Mistral-7B-Instruct-v0.2",
    "attention_dropout": 0.0,
    "mm_patch_merge_type": "flat",
    "mm_projector_lr": 2e-05,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "unfreeze_mm_vision_tower": True,
}
_BAKLLAVA: Final[Json] = {
    "_name_or_path": "mistralai/Mistral-7B-v0.1",
    "image_grid_pinpoints": None,
    "rope_theta": 10000.0,
    "sliding_window": 4096,
}
_LLAMA_3: Final[Json] = {
    "_name_or_path": "meta-llama/Meta-Llama-3-8B-Instruct",
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "max_position_embeddings": 8192,
    "num_key_value_heads": HEADS // 2,
    "pad_token_id": None,
    "rope_theta": 500000.0,
    "torch_dtype": "float16",
}
# Its config.json got keys for other servers later on.
_LLAMA_3_NEXT: Final[Json] = {
    "ignore_index": -100,
    "image_token_index": 128256,
    "mm_tunable_parts": "mm_vision_tower,mm_mlp_adapter,mm_language_model",
    "model_type": "llava",
    "projector_hidden_act": "gelu",
    "text_config": {"model_type": "llama"},
}


def release_config(version: Version, image_size: int) -> Json:
    """Return config.json with the keys of that release, sizes aside."""
    match version:
        case "v1":
            own = _v1_config()
        case "v1.5":
            own = _v15_config()
        case "sharegpt4v":
            own = _v15_config() | _SHAREGPT4V
        case "llava-med":
            own = _v15_config() | _MISTRAL | _LLAVA_MED
        case "bakllava":
            own = _v15_config() | _MISTRAL | _BAKLLAVA
        case "llama-3-xtuner":
            own = _v15_config() | _LLAMA_3 | {"model_type": "llava_llama"}
            own["unfreeze_mm_vision_tower"] = True
        case "llama-3-next":
            own = _v16_config("v1.6-vicuna", image_size) | _LLAMA_3 | _LLAMA_3_NEXT
        case _:
            own = _v16_config(version, image_size)
    return {
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": INTERMEDIATE,
        "mm_hidden_size": VISION_HIDDEN,
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "openai/clip-vit-large-patch14-336",
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "pad_token_id": 0,
        "tie_word_embeddings": False,
        "tune_mm_mlp_adapter": False,
        "use_cache": True,
        "use_mm_proj": True,
        "vocab_size": VOCAB,
        **own,
    }


def _v1_config() -> Json:
    """The paper's: no mm_projector_type, no image_aspect_ratio, its own image tokens."""
    return {
        "_name_or_path": "./checkpoints/llava-7b-v1",
        "architectures": ["LlavaLlamaForCausalLM"],
        "freeze_mm_mlp_adapter": False,
        "max_sequence_length": 2048,
        "mm_use_im_patch_token": True,
        "mm_use_im_start_end": True,
        "mm_vision_tower": "openai/clip-vit-large-patch14",
        "model_type": "llava",
        "rms_norm_eps": 1e-06,
        "sep_image_conv_front": False,
        "torch_dtype": "float16",
        "transformers_version": "4.28.0.dev0",
        "vocab_size": VOCAB + len(V1_ADDED),
    }


def _v15_config() -> Json:
    return {
        "_name_or_path": "llava-v1.5-7b",
        "architectures": ["LlavaLlamaForCausalLM"],
        "freeze_mm_mlp_adapter": False,
        "freeze_mm_vision_resampler": False,
        "image_aspect_ratio": "pad",
        "max_length": 4096,
        "max_position_embeddings": 4096,
        "mm_projector_type": "mlp2x_gelu",
        "mm_resampler_type": None,
        "mm_vision_select_feature": "patch",
        "model_type": "llava",
        "num_key_value_heads": HEADS,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "torch_dtype": "float16",
        "transformers_version": "4.31.0",
        "tune_mm_vision_resampler": False,
        "unfreeze_mm_vision_tower": False,
    }


def _v16_config(version: Version, size: int) -> Json:
    config = _v15_config() | {
        "_name_or_path": "lmsys/vicuna-7b-v1.5",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "image_aspect_ratio": "anyres",
        "image_crop_resolution": 224,
        # As released, (width, height) each; the last one only to tell the two apart.
        "image_grid_pinpoints": [
            [size, 2 * size],
            [2 * size, size],
            [2 * size, 2 * size],
            [3 * size, size],
            [size, 3 * size],
            [4 * size, size],
        ],
        "image_split_resolution": 224,
        "mm_patch_merge_type": "spatial_unpad",
        "mm_projector_lr": None,
        "mm_vision_tower_lr": 2e-06,
        "rope_theta": 10000.0,
        "tokenizer_model_max_length": 4096,
        "tokenizer_padding_side": "right",
        "torch_dtype": "bfloat16",
        "transformers_version": "4.36.2",
        "unfreeze_mm_vision_tower": True,
    }
    if version == "v1.6-mistral":
        return config | {
            "_name_or_path": "mistralai/Mistral-7B-Instruct-v0.2",
            "architectures": ["LlavaMistralForCausalLM"],
            "max_position_embeddings": 32768,
            "model_type": "llava_mistral",
            "num_key_value_heads": HEADS // 2,
            "rope_theta": 1000000.0,
            "sliding_window": None,
        }
    if version == "v1.6-34b":
        return config | {
            "_name_or_path": "NousResearch/Nous-Hermes-2-Yi-34B",
            "eos_token_id": 7,
            "num_key_value_heads": HEADS // 2,
            "rope_theta": 5000000.0,
        }
    return config


def base_config(config: Json) -> Json:
    own = ("mm_", "image_", "tune_", "freeze_", "unfreeze_", "use_mm_proj", "tokenizer_")
    kept = {key: value for key, value in config.items() if not key.startswith(own)}
    return kept | {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}


def adapter_config() -> Json:
    """Return adapter_config.json as peft 0.4 wrote it for llava-v1.5-7b-lora."""
    return {
        "auto_mapping": None,
        "base_model_name_or_path": "lmsys/vicuna-7b-v1.5",
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "layers_pattern": None,
        "layers_to_transform": None,
        "lora_alpha": LORA_ALPHA,
        "lora_dropout": 0.05,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": LORA_RANK,
        "revision": None,
        "target_modules": ["q_proj", "o_proj", "down_proj"],
        "task_type": "CAUSAL_LM",
    }
