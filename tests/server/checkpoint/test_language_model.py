"""The language model's sizes and quantisation, from configurations as they are published."""

from typing import Any

import pytest

from server.checkpoint.defaults import fill_defaults
from server.checkpoint.language_model import LanguageModel, read_language_model


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # llava-hf's LLaVA-1.5 omits what equals transformers' defaults
        (
            {"model_type": "llama", "vocab_size": 32064},
            LanguageModel(32, 32, 11008, 32064, None, 32, 128),
        ),
        ({"model_type": "mistral"}, LanguageModel(32, 8, 14336, 32000, None, 32, 128)),
        (
            {"model_type": "llama", "num_attention_heads": 56, "num_key_value_heads": 8},
            LanguageModel(56, 8, 11008, 32000, None, 32, 73),
        ),
        ({"num_key_value_heads": None}, LanguageModel(32, 32, 11008, 32000, None, 32, 128)),
        ({"model_type": "qwen2"}, LanguageModel(32, 32, 22016, 151936, None, 32, 128)),
        ({"model_type": "other"}, LanguageModel()),
        ({"model_type": "other", "vocab_size": "many"}, LanguageModel()),
    ],
)
def test_sizes(text: dict[str, Any], expected: LanguageModel) -> None:
    config = {"model_type": "llava", "text_config": text, "vision_config": {}}
    assert read_language_model(fill_defaults(config)) == expected


@pytest.mark.parametrize(
    ("config", "method"),
    [
        ({"text_config": {}}, None),
        ({"text_config": {}, "quantization_config": {"quant_method": "AWQ"}}, "awq"),
        ({"text_config": {"quantization_config": {"quant_method": "gptq"}}}, "gptq"),
        ({"text_config": {}, "compression_config": {"format": "x"}}, "compressed-tensors"),
        ({"text_config": {}, "quantization_config": None}, None),
    ],
)
def test_quantisation(config: dict[str, Any], method: str | None) -> None:
    assert read_language_model(config).quantization == method
