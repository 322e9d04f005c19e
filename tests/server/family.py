"""Small random checkpoints of LLaVA's family, in the layouts that they are published in.

checkpoint = write_vip_llava(folder)
checkpoint.path, checkpoint.model, checkpoint.tokenizer, checkpoint.chat_template
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.utils.chat_template_utils import render_jinja_template

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from tests.server.engine.checkpoints import published_name
from tests.server.llama_3_tokenizer import BEGIN, END, train_llama_3
from tests.server.released_tokenizer import convert, train

Json = dict[str, Any]
SIZE: Final = 56
# As published, sizes aside: twelve layers are the fewest that ViP-LLaVA's list fits.
VISION: Final[Json] = {
    "hidden_size": 64,
    "image_size": SIZE,
    "intermediate_size": 128,
    "model_type": "clip_vision_model",
    "num_attention_heads": 2,
    "num_hidden_layers": 12,
    "patch_size": 14,
    "projection_dim": 768,
    "vocab_size": 32000,
}
TEXT: Final[Json] = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-05,
    "torch_dtype": "float16",
}
PREPROCESSOR: Final[Json] = {
    "crop_size": {"height": SIZE, "width": SIZE},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": CLIP_MEAN,
    "image_processor_type": "CLIPImageProcessor",
    "image_std": CLIP_STD,
    "processor_class": "LlavaProcessor",
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": SIZE},
}
VIP_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ '###Human: '}}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ '###' + message['role'].title() + ': '}}{% endif %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '###Assistant:' }}{% endif %}"
)
# Meta's, which is in tokenizer_config.json and takes strings.
LLAMA_3_TEMPLATE: Final = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    "+ message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
# llava-hf's for LLaVA-NeXT: parts, and no BOS.
LLAMA_3_NEXT_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'}}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ '\n' + content['text'] + '<|eot_id|>' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
# llava-hf's for LLaVA-NeXT-Video, and for BakLLaVA but for videos.
NEXT_VIDEO_TEMPLATE: Final = (
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ message['content'][0]['text'] }}{% else %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}{# Render all videos #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}"
    "{{ '<video>\n' }}{% endfor %}{# Render all text next #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' '}}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
NEXT_PINPOINTS: Final = [
    [SIZE, 2 * SIZE],
    [2 * SIZE, SIZE],
    [2 * SIZE, 2 * SIZE],
    [3 * SIZE, SIZE],
    [SIZE, 3 * SIZE],
]


@dataclass(frozen=True, slots=True)
class FamilyCheckpoint:
    """A written checkpoint, and transformers' model and tokenizer of it."""

    path: Path
    model: Any
    tokenizer: Tokenizer
    chat_template: str
    takes_parts: bool

    @property
    def image_token_id(self) -> int:
        """The id of `<image>`."""
        token_id = self.tokenizer.token_to_id("<image>")
        assert token_id is not None
        return token_id

    def render(self, turns: list[tuple[str, str, int]]) -> str:
        """Return transformers' prompt for turns of (role, text, images)."""
        messages = [
            {"role": role, "content": self._content(text, images)} for role, text, images in turns
        ]
        (prompt,), _ = render_jinja_template(
            [messages],
            chat_template=self.chat_template,
            add_generation_prompt=True,
            bos_token=BEGIN,
        )
        return str(prompt)

    def encode(self, prompt: str, image_tokens: list[int]) -> list[int]:
        """Return a prompt's ids, each `<image>` repeated, with one BOS."""
        special = not prompt.startswith(BEGIN)
        counts = iter(image_tokens)
        ids: list[int] = []
        for token in self.tokenizer.encode(prompt, add_special_tokens=special).ids:
            ids += [token] * (next(counts) if token == self.image_token_id else 1)
        return ids

    def _content(self, text: str, images: int) -> Any:
        if not self.takes_parts:
            return "<image>\n" * images + text
        return [*[{"type": "image"}] * images, {"type": "text", "text": text}]


def write_vip_llava(folder: Path, **changes: Any) -> FamilyCheckpoint:
    """Write `llava-hf/vip-llava-7b-hf`."""
    tokenizer = _train_llama_tokenizer()
    config = {
        "architectures": ["VipLlavaForConditionalGeneration"],
        "ignore_index": -100,
        "image_token_index": tokenizer.token_to_id("<image>"),
        "model_type": "vipllava",
        "pad_token_id": tokenizer.token_to_id("<pad>"),
        "projector_hidden_act": "gelu",
        "projector_layernorm_eps": 1e-05,
        "text_config": _text_config(tokenizer, model_type="llama"),
        "torch_dtype": "float32",
        "vision_config": VISION,
        "vision_feature_layers": [-2, -5, -8, -11, 6],
        "vocab_size": tokenizer.get_vocab_size(),
    }
    return _write(folder, config | changes, tokenizer, VIP_TEMPLATE, _llama_files(VIP_TEMPLATE))


def write_bakllava(folder: Path, **changes: Any) -> FamilyCheckpoint:
    """Write `llava-hf/bakLlava-v1-hf`."""
    tokenizer = _train_llama_tokenizer()
    text = _text_config(tokenizer, model_type="mistral", sliding_window=4096)
    config = _llava_config(tokenizer) | {"text_config": text}
    files = _llama_files(NEXT_VIDEO_TEMPLATE)
    return _write(folder, config | changes, tokenizer, NEXT_VIDEO_TEMPLATE, files)


def write_llava_llama_3(folder: Path, **changes: Any) -> FamilyCheckpoint:
    """Write `xtuner/llava-llama-3-8b-v1_1-transformers`."""
    tokenizer = train_llama_3("<image>", "<pad>")
    config = _llava_config(tokenizer) | {"text_config": _llama_3_text(tokenizer)}
    files = _llama_3_files(tokenizer, LLAMA_3_TEMPLATE)
    return _write(folder, config | changes, tokenizer, LLAMA_3_TEMPLATE, files, takes_parts=False)


def write_llama_3_next(folder: Path, **changes: Any) -> FamilyCheckpoint:
    """Write `llava-hf/llama3-llava-next-8b-hf`."""
    tokenizer = train_llama_3("<image>", "<pad>")
    config = _llava_config(tokenizer) | {
        "architectures": ["LlavaNextForConditionalGeneration"],
        "image_grid_pinpoints": NEXT_PINPOINTS,
        "model_type": "llava_next",
        "text_config": _llama_3_text(tokenizer),
        "use_image_newline_parameter": True,
    }
    files = _llama_3_files(tokenizer, None) | {
        "chat_template.json": {"chat_template": LLAMA_3_NEXT_TEMPLATE}
    }
    return _write(folder, config | changes, tokenizer, LLAMA_3_NEXT_TEMPLATE, files)


def write_next_video(folder: Path, **changes: Any) -> FamilyCheckpoint:
    """Write `llava-hf/LLaVA-NeXT-Video-7B-hf`."""
    tokenizer = _train_llama_tokenizer("<video>", "<image>", "<pad>")
    config = _llava_config(tokenizer) | {
        "architectures": ["LlavaNextVideoForConditionalGeneration"],
        "image_grid_pinpoints": NEXT_PINPOINTS,
        "image_seq_length": (SIZE // 14) ** 2,
        "model_type": "llava_next_video",
        "spatial_pool_mode": "average",
        "spatial_pool_stride": 2,
        "text_config": _text_config(tokenizer, model_type="llama"),
        "use_image_newline_parameter": True,
        "video_seq_length": 288,
        "video_token_index": tokenizer.token_to_id("<video>"),
    }
    names = {"processor_class": "LlavaNextVideoProcessor"}
    images = {"aspect_ratio_setting": "anyres", "image_grid_pinpoints": NEXT_PINPOINTS}
    images |= {"image_processor_type": "LlavaNextImageProcessor"}
    video = {"video_processor_type": "LlavaNextVideoVideoProcessor"}
    files = _llama_files(NEXT_VIDEO_TEMPLATE) | {
        "preprocessor_config.json": PREPROCESSOR | images | names,
        "processor_config.json": {
            "image_token": "<image>",
            "num_additional_image_tokens": 1,
            "patch_size": 14,
            "video_token": "<video>",
            "vision_feature_select_strategy": "default",
            **names,
        },
        "video_preprocessor_config.json": PREPROCESSOR | video | names,
    }
    return _write(folder, config | changes, tokenizer, NEXT_VIDEO_TEMPLATE, files)


def _llava_config(tokenizer: Tokenizer) -> Json:
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "ignore_index": -100,
        "image_token_index": tokenizer.token_to_id("<image>"),
        "model_type": "llava",
        "pad_token_id": tokenizer.token_to_id("<pad>"),
        "projector_hidden_act": "gelu",
        "torch_dtype": "float32",
        "vision_config": VISION,
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
    }


def _text_config(tokenizer: Tokenizer, **changes: Any) -> Json:
    """Return a language model's configuration, for as many tokens as the tokenizer has."""
    sizes = {"max_position_embeddings": 4096, "vocab_size": tokenizer.get_vocab_size()}
    return TEXT | sizes | changes


def _llama_3_text(tokenizer: Tokenizer) -> Json:
    return _text_config(
        tokenizer,
        architectures=["LlamaForCausalLM"],
        bos_token_id=tokenizer.token_to_id(BEGIN),
        eos_token_id=tokenizer.token_to_id(END),
        max_position_embeddings=8192,
        model_type="llama",
        rope_theta=500000.0,
    )


def _llama_files(chat_template: str | None) -> Json:
    template = {"chat_template": chat_template}
    return {
        "tokenizer_config.json": {
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": "<s>",
            "eos_token": "</s>",
            "legacy": True,
            "pad_token": "<pad>",
            "tokenizer_class": "LlamaTokenizer",
            "unk_token": "<unk>",
        },
        "generation_config.json": {
            "_from_model_config": True,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        **({"chat_template.json": template} if chat_template else {}),
    }


def _llama_3_files(tokenizer: Tokenizer, chat_template: str | None) -> Json:
    """Return files that name `<|end_of_text|>`, though turns end with `<|eot_id|>`."""
    return {
        "tokenizer_config.json": {
            "bos_token": BEGIN,
            "clean_up_tokenization_spaces": True,
            "eos_token": END,
            "model_input_names": ["input_ids", "attention_mask"],
            "pad_token": "<pad>",
            "tokenizer_class": "PreTrainedTokenizerFast",
            **({"chat_template": chat_template} if chat_template else {}),
        },
        "generation_config.json": {
            "_from_model_config": True,
            "bos_token_id": tokenizer.token_to_id(BEGIN),
            "eos_token_id": tokenizer.token_to_id(END),
        },
    }


def _train_llama_tokenizer(*added: str) -> Tokenizer:
    tokenizer = convert(train(*(added or ("<image>", "<pad>"))), "prepend")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def _write(
    folder: Path,
    config: Json,
    tokenizer: Tokenizer,
    chat_template: str,
    files: Json,
    *,
    takes_parts: bool = True,
) -> FamilyCheckpoint:
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", config)
    model = _build_random_model(folder)
    weights = {published_name(name): tensor for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for name, content in ({"preprocessor_config.json": PREPROCESSOR} | files).items():
        _write_json(folder / name, content)
    tokenizer.save(str(folder / "tokenizer.json"))
    return FamilyCheckpoint(folder, model, tokenizer, chat_template, takes_parts)


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


def _write_json(file: Path, content: Json) -> None:
    file.write_text(json.dumps(content))
