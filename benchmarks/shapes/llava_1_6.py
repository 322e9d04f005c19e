"""LLaVA-1.6 on Mistral 7B: CLIP, two linear layers, tiles of large images."""

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
from benchmarks.shapes.shape import Shape, TokenizerKind

GRIDS: Final = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]  # [height, width]
TEMPLATE: Final = (
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ '<<SYS>>\n' + message['content'][0]['text'] + '\n<</SYS>>\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ '[INST] ' }}{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}{# Render all text next #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] }}{% endfor %}{{' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'][0]['text'] + '</s> ' }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}"
    "{% endif %}{% endfor %}"
)
LLAVA_16_7B: Final = Shape(
    name="llava-1.6-7b",
    repository="llava-hf/llava-v1.6-mistral-7b-hf",
    tokenizer=TokenizerKind.BYTE_FALLBACK,
    special_tokens=LLAMA_SPECIALS,
    text_ids=LLAMA_TEXT_IDS,
    config={
        "architectures": ["LlavaNextForConditionalGeneration"],
        "ignore_index": -100,
        "image_grid_pinpoints": GRIDS,
        "image_token_index": LLAMA_SPECIALS[IMAGE],
        "model_type": "llava_next",
        "pad_token_id": LLAMA_SPECIALS[PAD],
        "projector_hidden_act": "gelu",
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
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_image_newline_parameter": True,
        "vision_config": CLIP_L_336,
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "vocab_size": 32064,
    },
    preprocessor_config=CLIP_PROCESSOR
    | {
        "aspect_ratio_setting": "anyres",
        "do_pad": True,
        "image_grid_pinpoints": GRIDS,
        "image_processor_type": "LlavaNextImageProcessor",
        "processor_class": "LlavaNextProcessor",
    },
    processor_config={
        "image_token": IMAGE,
        "num_additional_image_tokens": 1,
        "patch_size": 14,
        "processor_class": "LlavaNextProcessor",
        "vision_feature_select_strategy": "default",
    },
    tokenizer_config=LLAMA_TOKENIZER | {"processor_class": "LlavaNextProcessor"},
    generation_config=LLAMA_GENERATION,
    chat_template=TEMPLATE,
    suite="gpu",
    max_model_len=12_288,  # a chat over three images of up to 2,928 tokens
    max_num_seqs=256,
    max_num_batched_tokens=8192,
)
