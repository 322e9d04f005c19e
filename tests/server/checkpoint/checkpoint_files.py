"""Configurations as llava-hf publishes them, and folders that hold them."""

import json
from pathlib import Path
from typing import Any

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD

# As llava-hf/llava-1.5-7b-hf has it: what equals a default of transformers is left out.
LLAVA_1_5: dict[str, Any] = {
    "architectures": ["LlavaForConditionalGeneration"],
    "ignore_index": -100,
    "image_token_index": 32000,
    "model_type": "llava",
    "pad_token_id": 32001,
    "projector_hidden_act": "gelu",
    "text_config": {
        "_name_or_path": "lmsys/vicuna-7b-v1.5",
        "architectures": ["LlamaForCausalLM"],
        "max_position_embeddings": 4096,
        "model_type": "llama",
        "rms_norm_eps": 1e-05,
        "torch_dtype": "float16",
        "vocab_size": 32064,
    },
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
    "vision_config": {
        "hidden_size": 1024,
        "image_size": 336,
        "intermediate_size": 4096,
        "model_type": "clip_vision_model",
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "patch_size": 14,
        "projection_dim": 768,
        "vocab_size": 32000,
    },
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
    "vocab_size": 32064,
}


FILES: dict[str, Any] = {
    "config.json": LLAVA_1_5,
    "preprocessor_config.json": {"image_mean": list(CLIP_MEAN), "image_std": list(CLIP_STD)},
    "tokenizer_config.json": {
        "bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": False},
        "eos_token": {"__type": "AddedToken", "content": "</s>", "lstrip": False},
    },
    "generation_config.json": {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": 2},
}


def write_checkpoint_files(folder: Path, **changes: Any) -> Path:
    """Write the checkpoint's files, some of them changed (None: left out)."""
    for name, content in FILES.items():
        content = changes.get(name.partition(".")[0], content)
        if content is not None:
            (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def build_llava_1_5_config(**changes: Any) -> dict[str, Any]:
    """Return the configuration with some keys changed, those that are `...` removed."""
    changed = {**LLAVA_1_5, **changes}
    return {key: value for key, value in changed.items() if value is not ...}


# As llava-hf/llava-v1.6-mistral-7b-hf differs from it; the grids are [height, width].
LLAVA_1_6: dict[str, Any] = {
    **LLAVA_1_5,
    "architectures": ["LlavaNextForConditionalGeneration"],
    "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
    "model_type": "llava_next",
    "text_config": {
        "_name_or_path": "mistralai/Mistral-7B-Instruct-v0.2",
        "architectures": ["MistralForCausalLM"],
        "intermediate_size": 14336,
        "max_position_embeddings": 32768,
        "model_type": "mistral",
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-05,
        "rope_theta": 1000000.0,
        "sliding_window": None,
        "torch_dtype": "bfloat16",
        "vocab_size": 32064,
    },
    "torch_dtype": "bfloat16",
    "use_image_newline_parameter": True,
}


def build_llava_next_config(**changes: Any) -> dict[str, Any]:
    """Return LLaVA-NeXT's configuration with some keys changed, those that are `...` removed."""
    changed = {**LLAVA_1_6, **changes}
    return {key: value for key, value in changed.items() if value is not ...}
