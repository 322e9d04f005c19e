"""The GPUs and models of the arithmetic, with their makers' figures."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: memory in GiB, bfloat16 with dense matrices, bandwidths one way.

    `utilization` is the share for the engine (`docs/sizing.md`).
    """

    name: str
    memory_gib: float
    memory_bytes_per_s: float
    flops: float
    link_bytes_per_s: float  # to the other GPUs of the host
    utilization: float


NVLINK3: Final = 300e9
NVLINK4: Final = 450e9
PCIE4: Final = 25e9

GPUS: Final = (
    Gpu("L4", 24, 300e9, 121e12, PCIE4, 0.85),
    Gpu("A10G", 24, 600e9, 70e12, PCIE4, 0.85),
    Gpu("RTX 4090", 24, 1008e9, 165e12, PCIE4, 0.85),
    Gpu("A100", 80, 2039e9, 312e12, NVLINK3, 0.95),
    Gpu("H100", 80, 3350e9, 989e12, NVLINK4, 0.95),
    Gpu("H200", 141, 4800e9, 989e12, NVLINK4, 0.95),
)


@dataclass(frozen=True, slots=True)
class Model:
    """A LLaVA checkpoint. Images have `views` for the tower and `image_tokens` for the prompt."""

    name: str
    parameters: float
    layers: int
    hidden: int
    kv_heads: int
    image_tokens: int
    views: int
    head_size: int = 128
    weight_bytes: float = 2

    @property
    def weights(self) -> float:
        """Bytes of the language model."""
        return self.parameters * self.weight_bytes

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of keys and values in bfloat16."""
        return 2 * self.layers * self.kv_heads * self.head_size * 2


LLAVA_15_7B: Final = Model("LLaVA-1.5-7B", 6.74e9, 32, 4096, 32, 576, 1)
LLAVA_15_7B_AWQ: Final = Model("LLaVA-1.5-7B, AWQ", 6.74e9, 32, 4096, 32, 576, 1, weight_bytes=0.55)
LLAVA_15_13B: Final = Model("LLaVA-1.5-13B", 13.02e9, 40, 5120, 40, 576, 1)
LLAVA_16_7B: Final = Model("LLaVA-1.6-7B (Vicuna)", 6.74e9, 32, 4096, 32, 2880, 5)
LLAVA_16_7B_MISTRAL: Final = Model("LLaVA-1.6-7B (Mistral)", 7.24e9, 32, 4096, 8, 2880, 5)
LLAVA_16_13B: Final = Model("LLaVA-1.6-13B (Vicuna)", 13.02e9, 40, 5120, 40, 2880, 5)

MODELS: Final = (
    LLAVA_15_7B,
    LLAVA_15_7B_AWQ,
    LLAVA_15_13B,
    LLAVA_16_7B,
    LLAVA_16_7B_MISTRAL,
    LLAVA_16_13B,
)
