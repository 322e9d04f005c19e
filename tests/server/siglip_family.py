"""Small random checkpoints with SigLIP and Qwen2, as llava-hf publishes them.

written = write_onevision(folder)
written.path, written.model, written.processor, written.tokenizer
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoProcessor,
)

from tests.server.engine.checkpoints import published_name
from tests.server.released_tokenizer import CORPUS

Json = dict[str, Any]
Turns = list[tuple[str, str, list[Image.Image]]]
# As in SigLIP's so400m, the patches do not quite fill the view.
SIZE, PATCHES = 62, 4
SPECIALS: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>")
# Qwen2's way to split text before merging.
WORDS: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
VISION: Final[Json] = {
    "hidden_size": 64,
    "image_size": SIZE,
    "intermediate_size": 96,
    "model_type": "siglip_vision_model",
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "patch_size": 14,
    "vision_use_head": False,
}
TEXT: Final[Json] = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 128,
    "intermediate_size": 256,
    "max_window_layers": 24,
    "model_type": "qwen2",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rope_theta": 1000000.0,
    "sliding_window": 131072,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}
PREPROCESSOR: Final[Json] = {
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"height": SIZE, "width": SIZE},
}
TEMPLATE: Final = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}"
    "{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>' }}{% endfor %}{# Render all video then #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}"
    "{{ '<video>' }}{% endfor %}{# Render all text next #}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ '\\n' + content['text'] }}{% endfor %}{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ '\\n' + content['text'] }}{% endgeneration %}{% endfor %}{% endif %}"
    "{{'<|im_end|>'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
PINPOINTS: Final = [[SIZE * rows, SIZE * cols] for rows in range(1, 7) for cols in range(1, 7)]


@dataclass(frozen=True)
class SiglipCheckpoint:
    """A written checkpoint, and transformers' model, processor and tokenizer of it."""

    path: Path
    model: Any
    tokenizer: Tokenizer

    @cached_property
    def processor(self) -> Any:
        """transformers' processor, resizing with Pillow as this server does."""
        processor = AutoProcessor.from_pretrained(self.path)
        # Videos have no such backend, so that the whole processor cannot be asked for it.
        processor.image_processor = AutoImageProcessor.from_pretrained(self.path, backend="pil")
        return processor

    def prepare(self, turns: Turns) -> Any:
        """Return transformers' inputs for a conversation of (role, text, images)."""
        messages = [
            {"role": role, "content": [*map(_image_part, images), {"type": "text", "text": text}]}
            for role, text, images in turns
        ]
        return self.processor.apply_chat_template(
            messages,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )


def write_onevision(folder: Path, **changes: Any) -> SiglipCheckpoint:
    """Write `llava-hf/llava-onevision-qwen2-0.5b-ov-hf`, weights' names as published."""
    tokenizer = _train_tokenizer()
    config = {
        "architectures": ["LlavaOnevisionForConditionalGeneration"],
        "ignore_index": -100,
        "image_grid_pinpoints": PINPOINTS,
        "image_token_index": tokenizer.token_to_id("<image>"),
        "model_type": "llava_onevision",
        "projector_hidden_act": "gelu",
        "text_config": TEXT | {"vocab_size": tokenizer.get_vocab_size()},
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "use_image_newline_parameter": True,
        "video_token_index": tokenizer.token_to_id("<video>"),
        "vision_aspect_ratio": "anyres_max_9",
        "vision_config": VISION,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
    }
    processor = {
        "num_image_tokens": PATCHES**2,
        "processor_class": "LlavaOnevisionProcessor",
        "vision_feature_select_strategy": "full",
        "image_token": "<image>",
        "video_token": "<video>",
    }
    images = {
        "do_pad": True,
        "image_grid_pinpoints": PINPOINTS,
        "image_processor_type": "LlavaOnevisionImageProcessor",
        "processor_class": "LlavaOnevisionProcessor",
    }
    written = _write(folder, config | changes, tokenizer, processor, images)
    weights = {published_name(name): each for name, each in written.model.state_dict().items()}
    del weights["language_model.lm_head.weight"]  # tied
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return written


def write_interleave(folder: Path, **changes: Any) -> SiglipCheckpoint:
    """Write `llava-hf/llava-interleave-qwen-0.5b-hf`, weights' names as transformers 5 has them."""
    tokenizer = _train_tokenizer()
    config = {
        "architectures": ["LlavaForConditionalGeneration"],
        "ignore_index": -100,
        "image_token_index": tokenizer.token_to_id("<image>"),
        "model_type": "llava",
        "projector_hidden_act": "gelu",
        "text_config": TEXT
        | {"num_key_value_heads": 4, "vocab_size": tokenizer.get_vocab_size()}
        | {"max_window_layers": 21, "sliding_window": 32768},
        "torch_dtype": "float32",
        "vision_config": VISION,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
    }
    config |= changes
    processor = {
        "image_token": "<image>",
        "num_additional_image_tokens": 0,
        "patch_size": 14,
        "processor_class": "LlavaProcessor",
        "vision_feature_select_strategy": config["vision_feature_select_strategy"],
    }
    images = {"image_processor_type": "SiglipImageProcessor", "processor_class": "LlavaProcessor"}
    written = _write(folder, config, tokenizer, processor, images)
    written_config = (folder / "config.json").read_bytes()
    written.model.save_pretrained(folder)
    (folder / "config.json").write_bytes(written_config)
    return written


def _image_part(image: Image.Image) -> Json:
    return {"type": "image", "image": image}


def _train_tokenizer() -> Tokenizer:
    """Train a byte-level BPE like Qwen2's: special tokens after the others, no BOS."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIALS])
    return tokenizer


def _write(
    folder: Path, config: Json, tokenizer: Tokenizer, processor: Json, images: Json
) -> SiglipCheckpoint:
    """Write everything but the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    end = tokenizer.token_to_id("<|im_end|>")
    files: Json = {
        "config.json": config,
        "preprocessor_config.json": PREPROCESSOR | images,
        "processor_config.json": processor,
        "chat_template.json": {"chat_template": TEMPLATE},
        "tokenizer_config.json": {
            "add_prefix_space": False,
            "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "errors": "replace",
            "model_max_length": 32768,
            "pad_token": "<|endoftext|>",
            "processor_class": processor["processor_class"],
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
        "generation_config.json": {"_from_model_config": True, "eos_token_id": end},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    tokenizer.save(str(folder / "tokenizer.json"))
    return SiglipCheckpoint(folder, _build_random_model(folder), tokenizer)


def _build_random_model(folder: Path) -> Any:
    """Return transformers' model in float32, with weights that each affect the answers."""
    model = AutoModelForImageTextToText.from_config(
        AutoConfig.from_pretrained(folder), dtype=torch.float32
    )
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.1
            parameter.copy_(noise + ("norm" in name and name.endswith("weight")))
    return model.eval()
