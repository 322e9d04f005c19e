"""Weights released as differences from LLaMA's, as for LLaVA v0 and v1."""

from torch import Tensor

from model_store.convert.weights import Weight, Weights
from model_store.errors import ConversionError


def apply_delta(delta: Weights, base: Weights) -> Weights:
    """Return `delta + base` for weights in both; weights only in the delta are complete already.

    The delta's embedding matrix and head may have more rows, for tokens that the base lacks.
    Follows `apply_delta` of the released code. Raises `ConversionError`.
    """
    for name in base:
        if name not in delta and not name.endswith(".inv_freq"):
            raise ConversionError(f"the delta lacks {name}, which {base[name].origin} has")
    return {
        name: _add(name, weight, base[name]) if name in base else weight
        for name, weight in delta.items()
    }


def _add(name: str, delta: Weight, base: Weight) -> Weight:
    if delta.shape[1:] != base.shape[1:] or delta.shape[:1] < base.shape[:1]:
        raise ConversionError(
            f"{delta.origin}: the delta of {name} is {delta.shape}, the base model's {base.shape}"
        )

    def load() -> Tensor:
        total = delta.load().clone()
        total[: base.shape[0]] += base.load().to(total.dtype)
        return total

    return Weight(delta.shape, delta.origin, load)
