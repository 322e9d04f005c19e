"""Random tensors under the names and with the relations of shapes of LLaVA's releases.

They are large enough that a changed one changes the output. Head sizes are ones that vLLM's CPU
attention takes.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from torch import Tensor

from tests.model_store.released_config import PATCH, VISION_HIDDEN, VISION_LAYERS, Json

Tensors = dict[str, Tensor]
BYTES: Final = slice(3, 259)  # the tokens of single bytes


def random_weight(generator: torch.Generator, *shape: int) -> Tensor:
    """Draw a weight that keeps the magnitude of its input."""
    return torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]) or 1)


def _norm(generator: torch.Generator, size: int) -> Tensor:
    return 1 + 0.1 * torch.randn(size, generator=generator)


def language_tensors(generator: torch.Generator, config: Json) -> Tensors:
    """Return a language model's tensors, with the buffers that old releases carried."""
    draw = partial(random_weight, generator)
    hidden, inner, rows = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads = config["num_attention_heads"]
    keys = config.get("num_key_value_heads", heads) * (hidden // heads)
    tensors = {"model.embed_tokens.weight": torch.randn(rows, hidden, generator=generator)}
    for index in range(config["num_hidden_layers"]):
        layer = f"model.layers.{index}"
        tensors |= {
            f"{layer}.self_attn.q_proj.weight": draw(hidden, hidden),
            f"{layer}.self_attn.k_proj.weight": draw(keys, hidden),
            f"{layer}.self_attn.v_proj.weight": draw(keys, hidden),
            f"{layer}.self_attn.o_proj.weight": draw(hidden, hidden),
            f"{layer}.mlp.gate_proj.weight": draw(inner, hidden),
            f"{layer}.mlp.up_proj.weight": draw(inner, hidden),
            f"{layer}.mlp.down_proj.weight": draw(hidden, inner),
            f"{layer}.input_layernorm.weight": _norm(generator, hidden),
            f"{layer}.post_attention_layernorm.weight": _norm(generator, hidden),
            f"{layer}.self_attn.rotary_emb.inv_freq": torch.ones(hidden // heads // 2),
        }
    tensors["model.norm.weight"] = _norm(generator, hidden)
    # Random weights would generate many single bytes, which each detokenizer decodes differently.
    logit_scale = torch.full((rows, 1), 3.0)
    logit_scale[BYTES] = 0.3
    tensors["lm_head.weight"] = logit_scale * draw(rows, hidden)
    return cast_to_release(tensors, config)


def projector_tensors(generator: torch.Generator, config: Json) -> Tensors:
    """Return `model.mm_projector.*` of the config's `mm_projector_type`."""
    kind = config.get("mm_projector_type", "linear")
    inputs = [config["mm_hidden_size"], config["hidden_size"]]
    match kind:
        case "identity":
            names = []
        case "linear":
            names = ["model.mm_projector"]
        case _:
            depth = max(1, int(kind.removeprefix("mlp").removesuffix("x_gelu")))
            names = [f"model.mm_projector.{2 * layer}" for layer in range(depth)]
    tensors: Tensors = {}
    for layer, name in enumerate(names):
        tensors[f"{name}.weight"] = random_weight(
            generator, config["hidden_size"], inputs[min(layer, 1)]
        )
        tensors[f"{name}.bias"] = 0.1 * torch.randn(config["hidden_size"], generator=generator)
    return cast_to_release(tensors, config)


def vision_tensors(generator: torch.Generator, image_size: int) -> Tensors:
    """Return a CLIP vision tower's tensors, `vision_model.*`."""
    draw, inner = partial(random_weight, generator), 2 * VISION_HIDDEN
    tensors = {
        "embeddings.class_embedding": torch.randn(VISION_HIDDEN, generator=generator),
        "embeddings.patch_embedding.weight": draw(VISION_HIDDEN, 3, PATCH, PATCH),
        "embeddings.position_embedding.weight": torch.randn(
            (image_size // PATCH) ** 2 + 1, VISION_HIDDEN, generator=generator
        ),
    }
    norms = ["pre_layrnorm", "post_layernorm"]
    for index in range(VISION_LAYERS):
        layer = f"encoder.layers.{index}"
        norms += [f"{layer}.layer_norm1", f"{layer}.layer_norm2"]
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            tensors |= _linear(
                draw, f"{layer}.self_attn.{projection}", VISION_HIDDEN, VISION_HIDDEN
            )
        tensors |= _linear(draw, f"{layer}.mlp.fc1", inner, VISION_HIDDEN)
        tensors |= _linear(draw, f"{layer}.mlp.fc2", VISION_HIDDEN, inner)
    for norm in norms:
        tensors[f"{norm}.weight"] = _norm(generator, VISION_HIDDEN)
        tensors[f"{norm}.bias"] = 0.1 * torch.randn(VISION_HIDDEN, generator=generator)
    return {f"vision_model.{name}": tensor.half() for name, tensor in tensors.items()}


def _linear(draw: Callable[..., Tensor], name: str, outputs: int, inputs: int) -> Tensors:
    return {f"{name}.weight": draw(outputs, inputs), f"{name}.bias": 0.1 * draw(1, outputs)[0]}


def cast_to_release(tensors: Tensors, config: Json) -> Tensors:
    """Return tensors in the release's dtype."""
    dtype = getattr(torch, config["torch_dtype"])
    return {name: tensor.to(dtype) for name, tensor in tensors.items()}
