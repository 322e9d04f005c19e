"""Small checkpoints exactly as LLaVA's releases are: names, configs, files, relations of shapes.

release = write_released(folder, "v1.5")
release.path, release.tower, release.base
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch
from safetensors.torch import save_file

from tests.model_store.released_config import (
    GENERATION,
    HIDDEN,
    LORA_RANK,
    PATCH,
    V1_ADDED,
    VISION_HIDDEN,
    VISION_LAYERS,
    VOCAB,
    Json,
    Version,
    adapter_config,
    base_config,
    release_config,
)
from tests.model_store.released_tensors import (
    Tensors,
    language_tensors,
    projector_tensors,
    random_weight,
    vision_tensors,
)
from tests.model_store.sentencepiece_training import train_sentencepiece
from tests.server.llama_3_tokenizer import BEGIN, END, SPECIALS, TURN_END, train_llama_3

Layout = Literal["whole", "delta", "projector", "lora"]
Format = Literal["bin", "safetensors"]
NAMES: Final[dict[Version, str]] = {
    "v1": "llava-7b-v1",
    "v1.5": "llava-v1.5-7b",
    "v1.6-vicuna": "llava-v1.6-vicuna-7b",
    "v1.6-mistral": "llava-v1.6-mistral-7b",
    "v1.6-34b": "llava-v1.6-34b",
    "sharegpt4v": "ShareGPT4V-7B",
    "llava-med": "llava-med-v1.5-mistral-7b",
    "bakllava": "BakLLaVA-1",
    "llama-3-next": "llama3-llava-next-8b",
    "llama-3-xtuner": "llava-llama-3-8b-v1_1-hf",
}
# Released with a tuned tower inside, and as safetensors.
TOWER_INSIDE: Final[frozenset[Version]] = frozenset(
    {"v1.6-vicuna", "v1.6-mistral", "v1.6-34b", "llava-med", "llama-3-next", "llama-3-xtuner"}
)
LAYOUT_NAMES: Final[dict[Layout, str]] = {
    "whole": "{}",
    "delta": "{}-delta",
    "projector": "{}-pretrain",
    "lora": "{}-lora",
}


@dataclass(frozen=True, slots=True)
class WrittenRelease:
    """A written release: its folders, its configuration, and tensors by released name."""

    path: Path
    tower: Path
    base: Path | None
    config: Json
    tower_tensors: Tensors
    base_tensors: Tensors  # the language model's, as stored
    own_tensors: Tensors  # the release's own


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
    image_size = image_size or (56 if version == "v1" else 28)
    inside = version in TOWER_INSIDE if tower_inside is None else tower_inside
    weights = weights or ("safetensors" if version in TOWER_INSIDE else "bin")
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
    _write_json(base / "config.json", base_config(config))
    write_weights(base, language, weights, shards)
    _write_tokenizer(base, "v1.5" if layout == "delta" else version)
    return WrittenRelease(path, tower, base, config, tower_tensors, language, own)


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
            adapter[f"{name}.lora_A.weight"] = random_weight(generator, LORA_RANK, inputs)
            adapter[f"{name}.lora_B.weight"] = random_weight(
                generator, config["hidden_size"], LORA_RANK
            )
    torch.save(adapter, path / "adapter_model.bin")
    _write_json(path / "adapter_config.json", adapter_config())
    return wrapped | adapter


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
    """Write a slow tokenizer's files, as all releases but Llama 3's have them, and the sampling."""
    if version.startswith("llama-3"):
        _write_llama_3_tokenizer(folder)
        return
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


def _write_llama_3_tokenizer(folder: Path) -> None:
    """Write a tokenizer.json without a `tokenizer.model`; two tokens end an answer."""
    tokenizer = train_llama_3()
    tokenizer.save(str(folder / "tokenizer.json"))
    begin, end, turn_end = map(tokenizer.token_to_id, (BEGIN, END, TURN_END))
    eos = {"bos_token_id": begin, "eos_token_id": [end, turn_end]}
    _write_json(folder / "generation_config.json", {"_from_model_config": True, **eos})
    settings: Json = {
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(token)): _token(token) | {"special": True}
            for token in SPECIALS
        },
        "bos_token": BEGIN,
        "clean_up_tokenization_spaces": True,
        "eos_token": TURN_END,
        "model_input_names": ["input_ids", "attention_mask"],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
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
