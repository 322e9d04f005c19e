"""Small checkpoints exactly as LLaVA's releases are: names, configs, files, relations of shapes.

    release = write_released(folder, "v1.5")
    release.path, release.tower, release.base

The weights are random but large enough that a changed one changes the output. Head sizes are ones
that vLLM's CPU attention takes.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.model_store.sentencepiece_training import train_sentencepiece

Version = Literal["v1", "v1.5", "v1.6-vicuna", "v1.6-mistral", "v1.6-34b"]
Layout = Literal["whole", "delta", "projector", "lora"]
Format = Literal["bin", "safetensors"]
Tensors = dict[str, Tensor]
Json = dict[str, Any]

HIDDEN: Final = 128
INTERMEDIATE: Final = 192
LAYERS: Final = 2
HEADS: Final = 4
VISION_HIDDEN: Final = 64
VISION_LAYERS: Final = 3
PATCH: Final = 14
VOCAB: Final = 480
BYTES: Final = slice(3, 259)  # the tokens of single bytes
LORA_RANK, LORA_ALPHA = 4, 8

NAMES: Final[dict[Version, str]] = {
    "v1": "llava-7b-v1",
    "v1.5": "llava-v1.5-7b",
    "v1.6-vicuna": "llava-v1.6-vicuna-7b",
    "v1.6-mistral": "llava-v1.6-mistral-7b",
    "v1.6-34b": "llava-v1.6-34b",
}
LAYOUT_NAMES: Final[dict[Layout, str]] = {
    "whole": "{}",
    "delta": "{}-delta",
    "projector": "{}-pretrain",
    "lora": "{}-lora",
}
# <im_patch>, <im_start> and <im_end>, which v1 was trained with.
V1_ADDED: Final = ("<im_patch>", "<im_start>", "<im_end>")


@dataclass(frozen=True, slots=True)
class WrittenRelease:
    """Where a release was written, and its tensors by released name, the base model's merged in."""

    path: Path
    tower: Path
    base: Path | None
    config: Json
    tower_tensors: Tensors
    base_tensors: Tensors  # the language model's, as stored
    own_tensors: Tensors  # what the release itself holds


def write_released(
    folder: Path,
    version: Version = "v1.5",
    layout: Layout = "whole",
    *,
    seed: int = 0,
    weights: Format | None = None,
    image_size: int | None = None,
    tower_inside: bool | None = None,
    shards: int = 2,
    overrides: Json | None = None,
) -> WrittenRelease:
    """Write a release of `version` under `folder`, with its tower, and its base if it needs one.

    `weights` and `tower_inside` default to what that version was released as; `overrides` are
    merged into config.json.
    """
    generator = torch.Generator().manual_seed(seed)
    next_gen = version.startswith("v1.6")
    image_size = image_size or (56 if version == "v1" else 28)
    inside = next_gen if tower_inside is None else tower_inside
    weights = weights or ("safetensors" if next_gen else "bin")
    config = release_config(version, image_size) | (overrides or {})
    folder.mkdir(parents=True, exist_ok=True)
    tower_tensors = vision_tensors(generator, image_size)
    tower = folder / "clip-vit-large-patch14"
    _write_tower(tower, tower_tensors, image_size)
    language = language_tensors(generator, config)
    own = projector_tensors(generator, config)
    if config.get("mm_patch_merge_type") == "spatial_unpad":
        own["model.image_newline"] = torch.randn(HIDDEN, generator=generator)
    if inside:
        own |= {f"model.vision_tower.vision_tower.{name}": t for name, t in tower_tensors.items()}
    path = folder / LAYOUT_NAMES[layout].format(NAMES[version])
    _write_json(path / "config.json", config)
    if layout == "whole":
        write_weights(path, language | own, weights, shards)
        _write_tokenizer(path, version)
        if version == "v1.5":
            torch.save(own, path / "mm_projector.bin")  # the release holds it a second time
        return WrittenRelease(path, tower, None, config, tower_tensors, language, own)
    base = folder / "vicuna-7b-v1.5"
    if layout == "delta":
        language = language_tensors(generator, config | {"vocab_size": VOCAB})
        own |= language_tensors(generator, config)
        write_weights(path, own, weights, shards)
        _write_tokenizer(path, version)
    elif layout == "projector":
        torch.save(own, path / "mm_projector.bin")
    else:
        own = _write_lora(path, config, own, generator)
    _write_json(base / "config.json", _base_config(config))
    write_weights(base, language, weights, shards)
    _write_tokenizer(base, "v1.5" if layout == "delta" else version)
    return WrittenRelease(path, tower, base, config, tower_tensors, language, own)


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


def release_config(version: Version, image_size: int) -> Json:
    """Return config.json with the keys of that release, sizes aside."""
    match version:
        case "v1":
            own = _v1_config()
        case "v1.5":
            own = _v15_config()
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


def _base_config(config: Json) -> Json:
    own = ("mm_", "image_", "tune_", "freeze_", "unfreeze_", "use_mm_proj", "tokenizer_")
    kept = {key: value for key, value in config.items() if not key.startswith(own)}
    return kept | {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}


def _random(generator: torch.Generator, *shape: int) -> Tensor:
    """Draw a weight that keeps its input's size."""
    return torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]) or 1)


def _norm(generator: torch.Generator, size: int) -> Tensor:
    return 1 + 0.1 * torch.randn(size, generator=generator)


def language_tensors(generator: torch.Generator, config: Json) -> Tensors:
    """Return a language model's tensors, with the buffers that old releases carried."""
    draw = partial(_random, generator)
    hidden, inner, rows = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads = config["num_attention_heads"]
    keys = config.get("num_key_value_heads", heads) * (hidden // heads)
    tensors = {"model.embed_tokens.weight": torch.randn(rows, hidden, generator=generator)}
    for index in range(config["num_hidden_layers"]):
        layer = f"model.layers.{index}"
        tensors |= {
            f"{layer}.self_attn.q_proj.weight": draw(hidden, hidden),
            f"{layer}.self_attn.k_proj.weight": draw(keys, hidden),
            f"{layer}.self_attn.v_proj.weight": draw(keys, hidden),
            f"{layer}.self_attn.o_proj.weight": draw(hidden, hidden),
            f"{layer}.mlp.gate_proj.weight": draw(inner, hidden),
            f"{layer}.mlp.up_proj.weight": draw(inner, hidden),
            f"{layer}.mlp.down_proj.weight": draw(hidden, inner),
            f"{layer}.input_layernorm.weight": _norm(generator, hidden),
            f"{layer}.post_attention_layernorm.weight": _norm(generator, hidden),
            f"{layer}.self_attn.rotary_emb.inv_freq": torch.ones(hidden // heads // 2),
        }
    tensors["model.norm.weight"] = _norm(generator, hidden)
    # Random weights would say byte upon byte, of which each detokenizer makes something else.
    loudness = torch.full((rows, 1), 3.0)
    loudness[BYTES] = 0.3
    tensors["lm_head.weight"] = loudness * draw(rows, hidden)
    return stored(tensors, config)


def projector_tensors(generator: torch.Generator, config: Json) -> Tensors:
    """Return `model.mm_projector.*` of the config's `mm_projector_type`."""
    kind = config.get("mm_projector_type", "linear")
    inputs = [config["mm_hidden_size"], config["hidden_size"]]
    match kind:
        case "identity":
            names = []
        case "linear":
            names = ["model.mm_projector"]
        case _:
            depth = int(kind.removeprefix("mlp").removesuffix("x_gelu"))
            names = [f"model.mm_projector.{2 * layer}" for layer in range(depth)]
    tensors: Tensors = {}
    for layer, name in enumerate(names):
        tensors[f"{name}.weight"] = _random(generator, config["hidden_size"], inputs[min(layer, 1)])
        tensors[f"{name}.bias"] = 0.1 * torch.randn(config["hidden_size"], generator=generator)
    return stored(tensors, config)


def vision_tensors(generator: torch.Generator, image_size: int) -> Tensors:
    """Return a CLIP vision tower's tensors, `vision_model.*`."""
    draw, inner = partial(_random, generator), 2 * VISION_HIDDEN
    tensors = {
        "embeddings.class_embedding": torch.randn(VISION_HIDDEN, generator=generator),
        "embeddings.patch_embedding.weight": draw(VISION_HIDDEN, 3, PATCH, PATCH),
        "embeddings.position_embedding.weight": torch.randn(
            (image_size // PATCH) ** 2 + 1, VISION_HIDDEN, generator=generator
        ),
    }
    norms = ["pre_layrnorm", "post_layernorm"]
    for index in range(VISION_LAYERS):
        layer = f"encoder.layers.{index}"
        norms += [f"{layer}.layer_norm1", f"{layer}.layer_norm2"]
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            tensors |= _linear(
                draw, f"{layer}.self_attn.{projection}", VISION_HIDDEN, VISION_HIDDEN
            )
        tensors |= _linear(draw, f"{layer}.mlp.fc1", inner, VISION_HIDDEN)
        tensors |= _linear(draw, f"{layer}.mlp.fc2", VISION_HIDDEN, inner)
    for norm in norms:
        tensors[f"{norm}.weight"] = _norm(generator, VISION_HIDDEN)
        tensors[f"{norm}.bias"] = 0.1 * torch.randn(VISION_HIDDEN, generator=generator)
    return {f"vision_model.{name}": tensor.half() for name, tensor in tensors.items()}


def _linear(draw: Callable[..., Tensor], name: str, outputs: int, inputs: int) -> Tensors:
    return {f"{name}.weight": draw(outputs, inputs), f"{name}.bias": 0.1 * draw(1, outputs)[0]}


def stored(tensors: Tensors, config: Json) -> Tensors:
    """Return tensors in the release's dtype."""
    dtype = getattr(torch, config["torch_dtype"])
    return {name: tensor.to(dtype) for name, tensor in tensors.items()}


def write_weights(folder: Path, tensors: Tensors, form: Format, shards: int) -> None:
    """Write weights in one file, or in shards with their index, as transformers names them."""
    folder.mkdir(parents=True, exist_ok=True)
    stem, suffix = ("pytorch_model", "bin") if form == "bin" else ("model", "safetensors")
    names = sorted(tensors)
    weight_map: dict[str, str] = {}
    for number in range(shards):
        file = (
            f"{stem}-{number + 1:05}-of-{shards:05}.{suffix}" if shards > 1 else f"{stem}.{suffix}"
        )
        part = {name: tensors[name].clone() for name in names[number::shards]}
        weight_map |= dict.fromkeys(part, file)
        if form == "bin":
            torch.save(part, folder / file)
        else:
            save_file(part, folder / file, metadata={"format": "pt"})
    if shards > 1:
        size = sum(tensor.nbytes for tensor in tensors.values())
        index = {"metadata": {"total_size": size}, "weight_map": weight_map}
        _write_json(folder / f"{stem}.{suffix}.index.json", index)


def _write_lora(path: Path, config: Json, own: Tensors, generator: torch.Generator) -> Tensors:
    """Write a LoRA release's weights; return them by the names they have there."""
    wrapped = {f"base_model.model.{name}": tensor for name, tensor in own.items()}
    torch.save(wrapped, path / "non_lora_trainables.bin")
    adapter: Tensors = {}
    for index in range(config["num_hidden_layers"]):
        for module in ("self_attn.q_proj", "self_attn.o_proj", "mlp.down_proj"):
            name = f"base_model.model.model.layers.{index}.{module}"
            inputs = config["intermediate_size"] if "down" in module else config["hidden_size"]
            adapter[f"{name}.lora_A.weight"] = _random(generator, LORA_RANK, inputs)
            adapter[f"{name}.lora_B.weight"] = _random(generator, config["hidden_size"], LORA_RANK)
    torch.save(adapter, path / "adapter_model.bin")
    _write_json(path / "adapter_config.json", adapter_config())
    return wrapped | adapter


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


def _write_tower(folder: Path, tensors: Tensors, image_size: int) -> None:
    """Write a full CLIP model as OpenAI's repositories hold it; its text tower is a stub of one."""
    vision = {
        "attention_dropout": 0.0,
        "dropout": 0.0,
        "hidden_act": "quick_gelu",
        "hidden_size": VISION_HIDDEN,
        "image_size": image_size,
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "intermediate_size": 2 * VISION_HIDDEN,
        "layer_norm_eps": 1e-05,
        "model_type": "clip_vision_model",
        "num_attention_heads": 2,
        "num_hidden_layers": VISION_LAYERS,
        "patch_size": PATCH,
        "projection_dim": 32,
    }
    _write_json(
        folder / "config.json",
        {
            "architectures": ["CLIPModel"],
            "logit_scale_init_value": 2.6592,
            "model_type": "clip",
            "projection_dim": 32,
            "text_config": {"model_type": "clip_text_model", "hidden_size": 32},
            "torch_dtype": "float32",
            "vision_config": vision,
        },
    )
    rest = {
        "logit_scale": torch.tensor(4.6),
        "text_model.embeddings.position_ids": torch.arange(77)[None],
        "text_model.final_layer_norm.weight": torch.ones(32),
        "text_projection.weight": torch.zeros(32, 32),
        "vision_model.embeddings.position_ids": torch.arange((image_size // PATCH) ** 2 + 1)[None],
        "visual_projection.weight": torch.zeros(32, VISION_HIDDEN),
    }
    torch.save(tensors | rest, folder / "pytorch_model.bin")
    _write_json(
        folder / "preprocessor_config.json",
        {
            "crop_size": image_size,
            "do_center_crop": True,
            "do_normalize": True,
            "do_resize": True,
            "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "resample": 3,
            "size": image_size,
        },
    )


def _write_tokenizer(folder: Path, version: Version) -> None:
    """Write a slow tokenizer's files, as all of these releases have them, and the sampling."""
    _write_json(folder / "generation_config.json", GENERATION)
    chatml = version == "v1.6-34b"
    (folder / "tokenizer.model").write_bytes(train_sentencepiece(VOCAB, chatml=chatml))
    bos, eos = ("<|startoftext|>", "<|im_end|>") if chatml else ("<s>", "</s>")
    names = {"bos_token": _token(bos), "eos_token": _token(eos), "unk_token": _token("<unk>")}
    _write_json(folder / "special_tokens_map.json", names | {"pad_token": "<unk>"})
    settings: Json = {
        **names,
        "add_bos_token": not chatml,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 2048,
        "pad_token": None if version == "v1.5" else "<unk>",
        "padding_side": "right",
        "sp_model_kwargs": {},
        "tokenizer_class": "LlamaTokenizer",
    }
    if version == "v1":
        added = {token: VOCAB + index for index, token in enumerate(V1_ADDED)}
        _write_json(folder / "added_tokens.json", added)
    elif version != "v1.5":
        tokens = {0: "<unk>", 1: bos, 2: "</s>"} | ({2: "<|endoftext|>", 7: eos} if chatml else {})
        settings["added_tokens_decoder"] = {
            str(token_id): _token(token) | {"special": True} for token_id, token in tokens.items()
        }
    # Vicuna v1.5 and what came of it switched the old behaviour off.
    if version in ("v1.5", "v1.6-vicuna"):
        settings["legacy"] = False
    elif version != "v1":
        settings["legacy"] = True
    _write_json(folder / "tokenizer_config.json", settings)


def _token(content: str) -> Json:
    return {
        "content": content,
        "lstrip": False,
        "normalized": False,
        "rstrip": False,
        "single_word": False,
    }


def _write_json(file: Path, content: Json) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2))
