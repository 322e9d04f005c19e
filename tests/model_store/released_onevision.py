"""A small LLaVA-OneVision exactly as lmms-lab released it: SigLIP, Qwen2, tied embeddings."""

import json
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig, SiglipVisionModel

from tests.model_store.released import WrittenRelease, write_weights
from tests.model_store.released_config import HIDDEN, INTERMEDIATE, LAYERS, Json
from tests.model_store.released_tensors import Tensors, projector_tensors, random_weight
from tests.server.released_tokenizer import CORPUS

SIZE, PATCH, VISION_HIDDEN, VISION_LAYERS = 28, 14, 64, 3
VOCAB: Final = 512
CHATML: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TOWER: Final[Json] = {
    "hidden_size": VISION_HIDDEN,
    "image_size": SIZE,
    "intermediate_size": 2 * VISION_HIDDEN,
    "model_type": "siglip_vision_model",
    "num_attention_heads": 2,
    "num_hidden_layers": VISION_LAYERS,
    "patch_size": PATCH,
}
TEXT: Final[Json] = {
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "initializer_range": 0.02,
    "intermediate_size": INTERMEDIATE,
    "max_position_embeddings": 32768,
    "max_window_layers": 24,
    "num_attention_heads": 4,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": VOCAB,
}
CONFIG: Final[Json] = TEXT | {
    "_name_or_path": "/mnt/checkpoints/llava-onevision-qwen2-0.5b",
    "architectures": ["LlavaQwenForCausalLM"],
    "image_aspect_ratio": "anyres_max_9",
    "image_crop_resolution": None,
    "image_grid_pinpoints": "(1x1),...,(6x6)",
    "image_split_resolution": None,
    "mm_hidden_size": VISION_HIDDEN,
    "mm_patch_merge_type": "spatial_unpad",
    "mm_projector_lr": None,
    "mm_projector_type": "mlp2x_gelu",
    "mm_resampler_type": None,
    "mm_spatial_pool_mode": "bilinear",
    "mm_tunable_parts": "mm_vision_tower,mm_mlp_adapter,mm_language_model",
    "mm_use_im_patch_token": False,
    "mm_use_im_start_end": False,
    "mm_vision_select_feature": "patch",
    "mm_vision_select_layer": -2,
    "mm_vision_tower": "google/siglip-so400m-patch14-384",
    "mm_vision_tower_lr": 2e-06,
    "model_type": "llava",
    "pos_skipping_range": 4096,
    "tokenizer_model_max_length": 32768,
    "tokenizer_padding_side": "right",
    "torch_dtype": "bfloat16",
    "transformers_version": "4.40.0.dev0",
    "use_mm_proj": True,
    "use_pos_skipping": False,
    "vision_tower_pretrained": None,
}


def write_onevision(folder: Path, **changes: Any) -> WrittenRelease:
    """Write the release, and the tower's folder, which gives its configuration."""
    generator = torch.Generator().manual_seed(0)
    config = CONFIG | changes
    tower_tensors = _randomise(SiglipVisionModel(SiglipVisionConfig(**TOWER)), generator)
    language = _randomise(Qwen2ForCausalLM(Qwen2Config(**{**TEXT, **_ids(config)})), generator)
    if config["tie_word_embeddings"]:
        del language["lm_head.weight"]
    own = projector_tensors(generator, config) | {
        "model.image_newline": torch.randn(HIDDEN, generator=generator)
    }
    # The released code drops the last layer before it stores the tower.
    last = f"encoder.layers.{VISION_LAYERS - 1}."
    kept = {name: tensor for name, tensor in tower_tensors.items() if last not in name}
    own |= {f"model.vision_tower.vision_tower.{name}": tensor for name, tensor in kept.items()}
    path, tower = folder / "llava-onevision-qwen2-0.5b-ov", folder / "siglip-so400m-patch14-384"
    write_weights(path, language | own, "safetensors", 1)
    _write_json(path / "config.json", config)
    _write_tokenizer(path)
    tower.mkdir()
    _write_json(tower / "config.json", {"model_type": "siglip", "vision_config": TOWER})
    return WrittenRelease(path, tower, None, config, kept, language, own)


def _ids(config: Json) -> Json:
    return {"tie_word_embeddings": config["tie_word_embeddings"], "bos_token_id": 1}


def _randomise(model: torch.nn.Module, generator: torch.Generator) -> Tensors:
    """Return tensors under the names that transformers 4 stored; heads of towers are left out."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        drawn = random_weight(generator, *tensor.shape)
        is_norm = "norm" in name and name.endswith("weight")
        stored = name if name.startswith(("model.", "lm_head.")) else _prefixed(name)
        tensors[stored] = (drawn + is_norm).bfloat16()
    return {name: tensor for name, tensor in tensors.items() if ".head." not in name}


def _prefixed(name: str) -> str:
    return f"vision_model.{name.removeprefix('vision_model.')}"


def _write_tokenizer(folder: Path) -> None:
    """Write Qwen2's tokenizer.json, without a BOS."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in CHATML])
    tokenizer.save(str(folder / "tokenizer.json"))
    added = {token: tokenizer.token_to_id(token) for token in CHATML}
    _write_json(folder / "added_tokens.json", added)
    names = {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    _write_json(folder / "tokenizer_config.json", {**names, "tokenizer_class": "Qwen2Tokenizer"})
    ids = {"bos_token_id": added["<|endoftext|>"], "eos_token_id": added["<|im_end|>"]}
    _write_json(folder / "generation_config.json", ids)


def _write_json(file: Path, content: Json) -> None:
    file.write_text(json.dumps(content))
