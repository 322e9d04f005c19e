"""The configuration that vLLM gets: any LLaVA as one of two classes, with a stub of a tower."""

from typing import Any

import pytest
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaNextConfig,
    LlavaOnevisionConfig,
    PreTrainedConfig,
    Qwen2Config,
    VipLlavaConfig,
)

from server.engine.vllm.model_override import override_as_llava, override_as_llava_next

OVERRIDES = [override_as_llava, override_as_llava_next]
CONFIGS = [LlavaConfig, LlavaNextConfig, LlavaOnevisionConfig, VipLlavaConfig]
LARGE_TOWER = CLIPVisionConfig(
    hidden_size=1024,
    intermediate_size=4096,
    num_hidden_layers=24,
    num_attention_heads=16,
    image_size=336,
    patch_size=14,
)


@pytest.mark.parametrize("config_class", CONFIGS)
def test_any_llava_becomes_a_plain_one(config_class: type[PreTrainedConfig]) -> None:
    config = override_as_llava(config_class(text_config=LlamaConfig(hidden_size=64)))
    assert isinstance(config, LlavaConfig)
    assert config.model_type == "llava"
    assert config.architectures == ["LlavaForConditionalGeneration"]
    assert config.text_config.hidden_size == 64


@pytest.mark.parametrize("config_class", CONFIGS)
def test_any_llava_becomes_a_llava_next(config_class: type[PreTrainedConfig]) -> None:
    config = override_as_llava_next(config_class(text_config=LlamaConfig(hidden_size=64)))
    assert isinstance(config, LlavaNextConfig)
    assert config.model_type == "llava_next"
    assert config.architectures == ["LlavaNextForConditionalGeneration"]
    assert config.text_config.hidden_size == 64


@pytest.mark.parametrize("override", [override_as_llava, override_as_llava_next])
@pytest.mark.parametrize("config", [PreTrainedConfig(), LlamaConfig()])
def test_other_configurations_stay_as_they_are(override: Any, config: PreTrainedConfig) -> None:
    architectures = config.architectures
    assert override(config) is config
    assert config.architectures == architectures


@pytest.mark.parametrize("override", OVERRIDES)
@pytest.mark.parametrize("processes", [1, 2, 3, 8])
@pytest.mark.parametrize("layer", [-2, 22])
def test_the_tower_is_a_stub_that_processes_can_share(
    override: Any, processes: int, layer: int
) -> None:
    config = LlavaConfig(
        vision_config=LARGE_TOWER, text_config=LlamaConfig(), vision_feature_layer=layer
    )
    config = override(config, tensor_parallel_size=processes)
    tower = config.vision_config
    assert (tower.num_hidden_layers, config.vision_feature_layer) == (1, -1)
    assert tower.num_attention_heads % processes == 0
    assert tower.hidden_size == tower.intermediate_size == 128 * processes
    assert (tower.image_size, tower.patch_size) == (336, 14)


@pytest.mark.parametrize("override", OVERRIDES)
def test_quantisation_stays(override: Any) -> None:
    top = LlavaNextConfig(text_config=LlamaConfig(), quantization_config={"quant_method": "awq"})
    assert override(top).quantization_config == {"quant_method": "awq"}
    text = LlamaConfig(quantization_config={"quant_method": "gptq"})
    overridden = override(LlavaNextConfig(text_config=text))
    assert overridden.text_config.quantization_config == {"quant_method": "gptq"}


@pytest.mark.parametrize("override", OVERRIDES)
@pytest.mark.parametrize(("whole", "text"), [(False, True), (True, False), (False, False)])
def test_embeddings_are_tied_as_in_transformers(override: Any, whole: bool, text: bool) -> None:
    language_model = Qwen2Config(tie_word_embeddings=text)
    config = override(LlavaOnevisionConfig(text_config=language_model, tie_word_embeddings=whole))
    assert config.text_config.tie_word_embeddings is (whole or text)


def test_vllm_sees_one_tile_of_onevisions_grids() -> None:
    config = override_as_llava_next(LlavaOnevisionConfig(text_config=Qwen2Config()))
    assert config.image_grid_pinpoints == [[384, 384]]
    plain = LlavaNextConfig(text_config=LlamaConfig())
    assert override_as_llava_next(plain).image_grid_pinpoints == plain.image_grid_pinpoints
