"""Rewrites a checkpoint's configuration for vLLM: one of two classes, a minimal vision tower."""

from transformers import LlavaConfig, LlavaNextConfig, PreTrainedConfig

from server.checkpoint.config import MODEL_TYPES


def override_as_llava(
    config: PreTrainedConfig, *, tensor_parallel_size: int = 1
) -> PreTrainedConfig:
    """Return the configuration of any LLaVA as LLaVA-1.5's class.

    The engine runs only the language model, with embeddings in place of image tokens. vLLM also
    calls this with a configuration that has no model type, and gets it back unchanged.
    """
    return _override(config, LlavaConfig, "LlavaForConditionalGeneration", tensor_parallel_size)


def override_as_llava_next(
    config: PreTrainedConfig, *, tensor_parallel_size: int = 1
) -> PreTrainedConfig:
    """Return it as the class whose weights hold an `image_newline`; see `override_as_llava`."""
    return _override(
        config, LlavaNextConfig, "LlavaNextForConditionalGeneration", tensor_parallel_size
    )


def _override(
    config: PreTrainedConfig,
    config_class: type[PreTrainedConfig],
    architecture: str,
    tensor_parallel_size: int,
) -> PreTrainedConfig:
    if config.model_type not in MODEL_TYPES:
        return config
    if config.model_type == "llava_onevision":
        _shrink_grid(config)
    if not isinstance(config, config_class):
        content = config.to_dict()
        del content["model_type"]
        config = config_class(**content)
    config.architectures = [architecture]
    # transformers ties by the whole model's value, vLLM by the language model's.
    config.text_config.tie_word_embeddings = config.tie_word_embeddings
    _shrink_tower(config, tensor_parallel_size)
    return config


def _shrink_grid(config: PreTrainedConfig) -> None:
    """Leave one tile: vLLM preprocesses the largest image at start, to count its tokens.

    It would count as for LLaVA-NeXT, three times too many, and reserve space for them. The tokens
    of a step bound an image here.
    """
    size = config.vision_config.image_size
    config.image_grid_pinpoints = [[size, size]]


def _shrink_tower(config: PreTrainedConfig, tensor_parallel_size: int) -> None:
    """Leave one small layer of the tower, which vLLM 0.32 constructs although nothing runs it.

    The layer takes no memory (PyTorch's meta device), but its heads would limit how many GPUs share
    the language model, and its widths which quantisation is possible: the widths set here are
    multiples of the groups of 128 weights in checkpoints. The sizes that stay determine the numbers
    of image tokens.
    """
    tower = config.vision_config
    tower.num_hidden_layers = 1
    tower.num_attention_heads = 2 * tensor_parallel_size
    tower.hidden_size = tower.intermediate_size = 128 * tensor_parallel_size
    config.vision_feature_layer = -1
