"""What a checkpoint says of its language model: the sizes that GPUs share, its quantisation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

# vLLM pads the vocabulary to a multiple of this.
VOCABULARY_PADDING: Final = 64


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """The sizes that tensor parallelism shares out, None where unknown; `quantization` by name.

    `num_layers` and `head_size` are those of the KV cache, 0 where unknown.
    """

    num_attention_heads: int | None = None
    num_key_value_heads: int | None = None
    intermediate_size: int | None = None
    vocab_size: int | None = None
    quantization: str | None = None
    num_layers: int = 0
    head_size: int = 0

    def count_cache_values(self) -> int:
        """Return the numbers that each token takes in the KV cache: keys and values."""
        return 2 * self.num_layers * (self.num_key_value_heads or 0) * self.head_size

    def find_unshared(self, gpus: int) -> str | None:
        """Return the size that so many GPUs cannot share, such as `40 attention heads`."""
        sizes = {
            "attention heads": self.num_attention_heads,
            "rows of the MLP": self.intermediate_size,
            "rows of the padded vocabulary": self._padded_vocab_size,
        }
        for name, size in sizes.items():
            if size is not None and size % gpus:
                return f"{size} {name}"
        # More GPUs than key-value heads hold copies of them.
        heads = self.num_key_value_heads or gpus
        return f"{heads} key-value heads" if max(heads, gpus) % min(heads, gpus) else None

    @property
    def _padded_vocab_size(self) -> int | None:
        if self.vocab_size is None:
            return None
        return -(-self.vocab_size // VOCABULARY_PADDING) * VOCABULARY_PADDING


def read_language_model(config: Mapping[str, Any]) -> LanguageModel:
    """Read it from a LLaVA's `config.json`, whose defaults are filled in."""
    text = config["text_config"]
    heads = _read_size(text, "num_attention_heads")
    hidden = _read_size(text, "hidden_size")
    return LanguageModel(
        num_attention_heads=heads,
        num_key_value_heads=_read_size(text, "num_key_value_heads") or heads,
        intermediate_size=_read_size(text, "intermediate_size"),
        vocab_size=_read_size(text, "vocab_size"),
        quantization=_read_quantization(config) or _read_quantization(text),
        num_layers=_read_size(text, "num_hidden_layers") or 0,
        head_size=_read_size(text, "head_dim") or (hidden or 0) // (heads or 1),
    )


def _read_size(sizes: Mapping[str, Any], name: str) -> int | None:
    size = sizes.get(name)
    return size if isinstance(size, int) and size > 0 else None


def _read_quantization(config: Mapping[str, Any]) -> str | None:
    """Return the `quant_method`; compressed-tensors' older key does not name it."""
    quantization = config.get("quantization_config") or config.get("compression_config")
    if not isinstance(quantization, dict):
        return None
    return str(quantization.get("quant_method", "compressed-tensors")).lower()
