"""Small random LLaVAs in the served layouts, written by transformers itself."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    MistralConfig,
)

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from model_store.store import find_model

SIZE, PATCH = 56, 14
PINPOINTS = [[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]]  # [height, width]
TOWER = CLIPVisionConfig(
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=3,
    num_attention_heads=2,
    image_size=SIZE,
    patch_size=PATCH,
)
TEXT: dict[str, Any] = {
    "vocab_size": 1024,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 3,
}
LLAMA, MISTRAL = LlamaConfig(**TEXT), MistralConfig(**TEXT, sliding_window=None)
# The embedded model's tokenizer files.
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")

# transformers' names in memory on the left, those of llava-hf's files on the right.
PUBLISHED = (
    ("model.vision_tower.", "vision_tower.vision_model."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
    ("model.language_model.", "language_model.model."),
    ("model.image_newline", "image_newline"),
    ("lm_head.", "language_model.lm_head."),
)


def llava_next(text: LlamaConfig | MistralConfig) -> LlavaNextForConditionalGeneration:
    """Return a random LLaVA-NeXT."""
    config = LlavaNextConfig(
        vision_config=TOWER,
        text_config=text,
        image_token_index=4,
        image_grid_pinpoints=PINPOINTS,
    )
    return randomise(LlavaNextForConditionalGeneration(config), seed=2)


def randomise(model: Any, seed: int) -> Any:
    """Draw weights large enough that each of them affects the answers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.1
            parameter.copy_(noise + ("norm" in name))
    return model.eval()


def write_checkpoint(
    folder: Path, reference: Any, *, published_names: bool = True, **changes: Any
) -> Path:
    """Write a model, with `changes` to its configuration.

    The names of its weights are llava-hf's, or those that transformers 5 has for them in memory.
    Only `spatial_unpad` has an `image_newline`, as in the released code.
    """
    weights: dict[str, Tensor] = reference.state_dict()
    if changes.get("mm_patch_merge_type") == "flat":
        weights = {name: t for name, t in weights.items() if "image_newline" not in name}
    if published_names:
        weights = {published_name(name): tensor for name, tensor in weights.items()}
    save_file(weights, folder / "model.safetensors")
    config = {**reference.config.to_dict(), "dtype": "float32", "conv_mode": "vicuna_v1", **changes}
    _write_files(folder, config)
    return folder


def _write_files(folder: Path, config: dict[str, Any]) -> None:
    """Write everything but the weights."""
    (folder / "config.json").write_text(json.dumps(config))
    _write_processor(folder, "LlavaNext" if config["model_type"] == "llava_next" else "Llava")
    for name in TOKENIZER:
        shutil.copy(find_model("llava-tiny") / name, folder)


def write_language_model(folder: Path, config: LlavaNextConfig, **changes: Any) -> Path:
    """Write a LLaVA without its tower, which the engine does not load: only the language model."""
    with torch.device("meta"):
        model = LlavaNextForConditionalGeneration(config)
    generator = torch.Generator().manual_seed(3)
    weights = {
        published_name(name): (torch.randn(each.shape, generator=generator) * 0.1).bfloat16()
        for name, each in model.state_dict().items()
        if "language_model" in name or "lm_head" in name
    }
    save_file(weights, folder / "model.safetensors")
    _write_files(folder, {**config.to_dict(), "conv_mode": "vicuna_v1", **changes})
    return folder


def published_name(name: str) -> str:
    """Return the name of a weight as llava-hf's files have it."""
    for own, published in PUBLISHED:
        name = name.replace(own, published, 1) if name.startswith(own) else name
    return name


def _write_processor(folder: Path, kind: str) -> None:
    processor = {
        "image_processor_type": f"{kind}ImageProcessor",
        "processor_class": f"{kind}Processor",
        "size": {"shortest_edge": SIZE},
        "crop_size": {"height": SIZE, "width": SIZE},
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
