"""LLaVA-1.5: CLIP, two linear layers, Vicuna; and a small one of the same files."""

from typing import Final

from benchmarks.shapes.clip import CLIP_L_336, CLIP_PROCESSOR
from benchmarks.shapes.llama_tokenizer import (
    IMAGE,
    LLAMA_GENERATION,
    LLAMA_SPECIALS,
    LLAMA_TEXT_IDS,
    LLAMA_TOKENIZER,
    PAD,
)
from benchmarks.shapes.shape import Json, Shape, TokenizerKind

TEMPLATE: Final = (
    "{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ message['role'].upper() + ': '}}{% endif %}{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}{# Render all text next #}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' '}}{% endfor %}{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
VICUNA_7B: Final[Json] = {
    "_name_or_path": "lmsys/vicuna-7b-v1.5",
    "architectures": ["LlamaForCausalLM"],
    "max_position_embeddings": 4096,
    "model_type": "llama",
    "rms_norm_eps": 1e-05,
    "torch_dtype": "float16",
    "vocab_size": 32064,
}
VICUNA_13B: Final[Json] = VICUNA_7B | {
    "_name_or_path": "lmsys/vicuna-13b-v1.5",
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_attention_heads": 40,
    "num_hidden_layers": 40,
    "num_key_value_heads": 40,
}
SMALL_LLAMA: Final[Json] = VICUNA_7B | {
    "hidden_size": 256,
    "intermediate_size": 688,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 4,
}
SMALL_CLIP: Final[Json] = CLIP_L_336 | {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
}


def _build_shape(name: str, repository: str, suite: str, text: Json, vision: Json) -> Shape:
    return Shape(
        name=name,
        repository=repository,
        tokenizer=TokenizerKind.BYTE_FALLBACK,
        special_tokens=LLAMA_SPECIALS,
        text_ids=LLAMA_TEXT_IDS,
        config=_build_config(text, vision),
        preprocessor_config=CLIP_PROCESSOR
        | {"image_processor_type": "CLIPImageProcessor", "processor_class": "LlavaProcessor"},
        processor_config={
            "image_token": IMAGE,
            "num_additional_image_tokens": 1,
            "patch_size": 14,
            "processor_class": "LlavaProcessor",
            "vision_feature_select_strategy": "default",
        },
        tokenizer_config=LLAMA_TOKENIZER | {"processor_class": "LlavaProcessor"},
        generation_config=LLAMA_GENERATION,
        chat_template=TEMPLATE,
        suite=suite,
        max_model_len=4096,
        max_num_seqs=256,
        max_num_batched_tokens=8192,
    )


def _build_config(text: Json, vision: Json) -> Json:
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "ignore_index": -100,
        "image_token_index": LLAMA_SPECIALS[IMAGE],
        "model_type": "llava",
        "pad_token_id": LLAMA_SPECIALS[PAD],
        "projector_hidden_act": "gelu",
        "text_config": text,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "vision_config": vision,
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "vocab_size": 32064,
    }


LLAVA_15_7B: Final = _build_shape(
    "llava-1.5-7b", "llava-hf/llava-1.5-7b-hf", "gpu", VICUNA_7B, CLIP_L_336
)
LLAVA_15_13B: Final = _build_shape(
    "llava-1.5-13b", "llava-hf/llava-1.5-13b-hf", "gpu", VICUNA_13B, CLIP_L_336
)
# Not published: the files of the 7B model with few small layers, to try a run on a CPU.
LLAVA_15_SMALL: Final = _build_shape(
    "llava-1.5-small", "llava-hf/llava-1.5-7b-hf", "rehearsal", SMALL_LLAMA, SMALL_CLIP
)
