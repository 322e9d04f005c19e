"""QLoRA: the language model's frozen weights in 4 or 8 bits, under adapters in float32."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from transformers import BitsAndBytesConfig

QuantType = Literal["nf4", "fp4"]


@dataclass(frozen=True, slots=True)
class QuantizationSettings:
    """How weights are quantised (https://arxiv.org/abs/2305.14314).

    `quant_type` and `double_quant`, which quantises the blocks' constants too, are of 4 bits only.
    """

    bits: Literal[4, 8]
    quant_type: QuantType = "nf4"
    double_quant: bool = True


def build_config(settings: QuantizationSettings, *, bf16: bool) -> BitsAndBytesConfig:
    """Return transformers' configuration: all linear layers but the head are quantised.

    4 bits are computed in bfloat16 with `bf16`, else in float32.
    """
    return BitsAndBytesConfig(
        load_in_4bit=settings.bits == 4,
        load_in_8bit=settings.bits == 8,
        bnb_4bit_compute_dtype=torch.bfloat16 if bf16 else torch.float32,
        bnb_4bit_quant_type=settings.quant_type,
        bnb_4bit_use_double_quant=settings.double_quant,
    )


def choose_device() -> str:
    """Return where weights are quantised: the GPU of this process, or the CPU."""
    rank = os.environ.get("LOCAL_RANK", "0")
    return f"cuda:{rank}" if torch.cuda.is_available() else "cpu"


def keep_gradients(model: nn.Module) -> None:
    """Keep 4-bit weights as they are in evaluations between steps.

    On CPUs with AVX512-BF16, bitsandbytes packs evaluated weights anew: it rounds their constants
    to bfloat16, and steps after that have no gradients through them.
    """
    modules: Iterable[Any] = model.modules()
    for module in modules:
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
