"""LLaVA computed from a release's own tensors, with nothing of the conversion in between."""

import torch
from torch import Tensor
from torch.nn.functional import gelu, linear
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from tests.model_store.released import WrittenRelease
from tests.model_store.released_config import (
    HEADS,
    HIDDEN,
    INTERMEDIATE,
    LAYERS,
    PATCH,
    VISION_HIDDEN,
    VISION_LAYERS,
)
from tests.model_store.released_tensors import Tensors


def image_features(released: WrittenRelease, pixel_values: Tensor, tower: Tensors) -> Tensor:
    """The tower's last but one layer without the class token: (views, patches, hidden)."""
    config = CLIPVisionConfig(
        hidden_size=VISION_HIDDEN,
        intermediate_size=2 * VISION_HIDDEN,
        num_hidden_layers=VISION_LAYERS,
        num_attention_heads=2,
        image_size=pixel_values.shape[-1],
        patch_size=PATCH,
        hidden_act="quick_gelu",
        layer_norm_eps=1e-5,
    )
    model = CLIPVisionModel(config).eval()
    # Whether this version of transformers calls it vision_model.* or not.
    prefixed = next(iter(model.state_dict())).startswith("vision_model.")
    names = {
        name if prefixed else name.removeprefix("vision_model."): tensor.float()
        for name, tensor in tower.items()
    }
    missing, unexpected = model.load_state_dict(names, strict=False)
    assert not unexpected
    assert all("position_ids" in name for name in missing)
    with torch.inference_mode():
        states = model(pixel_values.float(), output_hidden_states=True).hidden_states
    features: Tensor = states[released.config["mm_vision_select_layer"]][:, 1:]
    return features


def project(features: Tensor, own: Tensors) -> Tensor:
    """Apply `model.mm_projector`, a matrix or an MLP, in float32."""
    tensors = {
        name.rpartition("mm_projector.")[2]: t.float()
        for name, t in own.items()
        if "mm_proj" in name
    }
    if "weight" in tensors:
        return linear(features, tensors["weight"], tensors["bias"])
    for index in range(0, len(tensors), 2):
        hidden = gelu(features) if index else features
        features = linear(hidden, tensors[f"{index}.weight"], tensors[f"{index}.bias"])
    return features


def language_model(
    released: WrittenRelease, tensors: Tensors
) -> LlamaForCausalLM | MistralForCausalLM:
    """The language model with the released tensors, in float32."""
    config = released.config
    sizes = {
        "vocab_size": config["vocab_size"],
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": config.get("num_key_value_heads", HEADS),
        "rms_norm_eps": config["rms_norm_eps"],
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": config.get("rope_theta", 10000.0),
        },
    }
    model: LlamaForCausalLM | MistralForCausalLM
    if "mistral" in config["model_type"]:
        model = MistralForCausalLM(MistralConfig(**sizes, sliding_window=None))
    else:
        model = LlamaForCausalLM(LlamaConfig(**sizes))
    weights = {name: t.float() for name, t in tensors.items() if "inv_freq" not in name}
    model.load_state_dict(weights)
    return model.eval()


def logits(
    released: WrittenRelease,
    language: Tensors,
    before: list[int],
    image_embeds: Tensor,
    after: list[int],
) -> Tensor:
    """Return the next-token logits of text, image_embeds (tokens, hidden) and text."""
    model = language_model(released, language)
    embed = model.get_input_embeddings()
    with torch.inference_mode():
        spliced = torch.cat([embed(torch.tensor(before)), image_embeds, embed(torch.tensor(after))])
        output: Tensor = model(inputs_embeds=spliced[None]).logits[0]
    return output
