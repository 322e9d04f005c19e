"""Exports a trained model as a Hugging Face checkpoint for vLLM and transformers."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import LlavaForConditionalGeneration

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from training.data.drawing import IMAGE_SIZE, PATCH_SIZE
from training.model.architecture import VISION_FEATURE_LAYER, build_config, build_model
from training.model.tokenizer import BOS_ID, EOS_ID, IMAGE_TOKEN, PAD_ID, SPECIAL_TOKENS

Json = dict[str, Any]

WEIGHTS_FILE = "model.safetensors"
# Prefixes of weight names: transformers 5's in memory, and the published layout's.
_PUBLISHED_NAMES = (
    ("model.vision_tower.", "vision_tower.vision_model."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
    ("model.language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
)


def export_model(model: LlavaForConditionalGeneration, tokenizer: Tokenizer, folder: Path) -> None:
    """Write all files of the checkpoint into `folder`.

    Each file moves into place once it is complete, so no process reads a partial file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as name:
        staging = Path(name)
        _write_weights(model, staging / WEIGHTS_FILE)
        tokenizer.save(str(staging / "tokenizer.json"))
        for file, content in _build_config_files().items():
            _write_json(staging / file, content)
        shutil.copy(Path(__file__).with_name("chat_template.jinja"), staging)
        for file_path in sorted(staging.iterdir()):
            os.replace(file_path, folder / file_path.name)


def load_model(folder: Path) -> LlavaForConditionalGeneration:
    """Load an exported model in bfloat16, under transformers 5's weight names."""
    weights = load_file(folder / WEIGHTS_FILE)
    model = build_model(seed=0).to(torch.bfloat16)
    model.load_state_dict({_rename_weight(name, reverse=True): w for name, w in weights.items()})
    return model.eval()


def _write_weights(model: LlavaForConditionalGeneration, path: Path) -> None:
    weights = {
        _rename_weight(name): weight.detach().to(torch.bfloat16).contiguous()
        for name, weight in model.state_dict().items()
    }
    save_file(weights, path, metadata={"format": "pt"})
    path.chmod(0o644)


def _rename_weight(name: str, reverse: bool = False) -> str:
    for old, new in _PUBLISHED_NAMES:
        if reverse:
            old, new = new, old
        if name.startswith(old):
            return new + name.removeprefix(old)
    raise KeyError(name)


def _build_config_files() -> dict[str, Json]:
    return {
        "config.json": _build_model_config(),
        "generation_config.json": {
            "bos_token_id": BOS_ID,
            "eos_token_id": EOS_ID,
            "pad_token_id": PAD_ID,
            "do_sample": False,
        },
        "tokenizer_config.json": _build_tokenizer_config(),
        "preprocessor_config.json": _build_preprocessor_config(),
        "processor_config.json": {
            "processor_class": "LlavaProcessor",
            "patch_size": PATCH_SIZE,
            "vision_feature_select_strategy": "default",
            "num_additional_image_tokens": 1,
            "image_token": IMAGE_TOKEN,
        },
    }


def _build_model_config() -> Json:
    config: Json = build_config().to_dict()
    return config | {
        "architectures": ["LlavaForConditionalGeneration"],
        "dtype": "bfloat16",
        "vision_feature_layer": VISION_FEATURE_LAYER,
    }


def _build_tokenizer_config() -> Json:
    """Only tokenizer.json's post-processor adds BOS; the chat template does not."""
    bos, eos, unk, pad, image = SPECIAL_TOKENS
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "LlavaProcessor",
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": bos,
        "eos_token": eos,
        "unk_token": unk,
        "pad_token": pad,
        "image_token": image,
        "extra_special_tokens": {"image_token": image},
        "clean_up_tokenization_spaces": False,
        "model_max_length": 2048,
        "padding_side": "left",
    }


def _build_preprocessor_config() -> Json:
    """CLIP's preprocessing, after LLaVA-1.5's padding to a square."""
    return {
        "image_processor_type": "LlavaImageProcessor",
        "processor_class": "LlavaProcessor",
        "do_convert_rgb": True,
        "do_pad": True,
        "do_resize": True,
        "size": {"shortest_edge": IMAGE_SIZE},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(CLIP_MEAN),
        "image_std": list(CLIP_STD),
    }


def _write_json(path: Path, content: Json) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
