"""LLaVA-OneVision and LLaVA-Interleave 0.5B: SigLIP, two linear layers, Qwen."""

from functools import partial
from typing import Final

from benchmarks.shapes.shape import Json, Shape, TokenizerKind

QWEN2_SPECIALS: Final = {
    "<|endoftext|>": 151643,
    "<|im_start|>": 151644,
    "<|im_end|>": 151645,
    "<image>": 151646,
    "<video>": 151647,
}
QWEN2_TEXT_IDS: Final = range(151643)
SO400M: Final[Json] = {
    "hidden_size": 1152,
    "image_size": 384,
    "intermediate_size": 4304,
    "model_type": "siglip_vision_model",
    "num_attention_heads": 16,
    "num_hidden_layers": 26,
    "patch_size": 14,
    "vision_use_head": False,
}
QWEN2_TOKENIZER: Final[Json] = {
    "add_prefix_space": False,
    "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
    "bos_token": None,
    "eos_token": "<|im_end|>",
    "errors": "replace",
    "model_max_length": 32768,
    "pad_token": "<|endoftext|>",
    "tokenizer_class": "Qwen2Tokenizer",
    "unk_token": None,
}
QWEN2_GENERATION: Final[Json] = {
    "bos_token_id": 151643,
    "eos_token_id": [151645, 151643],
    "pad_token_id": 151643,
}
SIGLIP_PROCESSOR: Final[Json] = {
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"height": 384, "width": 384},
}
PINPOINTS: Final = [[384 * rows, 384 * columns] for rows in range(1, 7) for columns in range(1, 7)]
CHATML: Final = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ '\\n' + content['text'] }}{% endfor %}{{'<|im_end|>'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# What the checkpoints have in common.
QWEN2_TEXT: Final[Json] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "num_hidden_layers": 24,
    "rope_theta": 1000000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "vocab_size": 152000,
}
QWEN_SHAPE: Final = partial(
    Shape,
    tokenizer=TokenizerKind.BYTE_LEVEL,
    special_tokens=QWEN2_SPECIALS,
    text_ids=QWEN2_TEXT_IDS,
    generation_config=QWEN2_GENERATION,
    chat_template=CHATML,
    suite="cpu",
    max_model_len=9_216,
    max_num_seqs=16,
    max_num_batched_tokens=9_216,
)
ONEVISION_05B: Final = QWEN_SHAPE(
    name="onevision-0.5b",
    repository="llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
    config={
        "architectures": ["LlavaOnevisionForConditionalGeneration"],
        "ignore_index": -100,
        "image_grid_pinpoints": PINPOINTS,
        "image_token_index": 151646,
        "model_type": "llava_onevision",
        "projector_hidden_act": "gelu",
        "text_config": QWEN2_TEXT
        | {
            "hidden_size": 896,
            "intermediate_size": 4864,
            "max_window_layers": 24,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "sliding_window": 131072,
        },
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "use_image_newline_parameter": True,
        "video_token_index": 151647,
        "vision_aspect_ratio": "anyres_max_9",
        "vision_config": SO400M,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
    },
    preprocessor_config=SIGLIP_PROCESSOR
    | {
        "do_pad": True,
        "image_grid_pinpoints": PINPOINTS,
        "image_processor_type": "LlavaOnevisionImageProcessor",
        "processor_class": "LlavaOnevisionProcessor",
    },
    processor_config={
        "image_token": "<image>",
        "num_image_tokens": 729,
        "processor_class": "LlavaOnevisionProcessor",
        "video_token": "<video>",
        "vision_feature_select_strategy": "full",
    },
    tokenizer_config=QWEN2_TOKENIZER | {"processor_class": "LlavaOnevisionProcessor"},
)
INTERLEAVE_05B: Final = QWEN_SHAPE(
    name="interleave-0.5b",
    repository="llava-hf/llava-interleave-qwen-0.5b-hf",
    config={
        "architectures": ["LlavaForConditionalGeneration"],
        "ignore_index": -100,
        "image_token_index": 151646,
        "model_type": "llava",
        "projector_hidden_act": "gelu",
        "text_config": QWEN2_TEXT
        | {
            "hidden_size": 1024,
            "intermediate_size": 2816,
            "max_window_layers": 21,
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
            "sliding_window": 32768,
        },
        "torch_dtype": "float16",
        "vision_config": SO400M,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
    },
    preprocessor_config=SIGLIP_PROCESSOR
    | {"image_processor_type": "SiglipImageProcessor", "processor_class": "LlavaProcessor"},
    processor_config={
        "image_token": "<image>",
        "num_additional_image_tokens": 0,
        "patch_size": 14,
        "processor_class": "LlavaProcessor",
        "vision_feature_select_strategy": "full",
    },
    tokenizer_config=QWEN2_TOKENIZER | {"processor_class": "LlavaProcessor"},
)
