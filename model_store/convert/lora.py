"""LoRA adapters merged into the weights that they adapt (Hu et al., arXiv 2106.09685)."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torch import Tensor

from model_store.convert.json_file import Json, read_json
from model_store.convert.release import ADAPTER_CONFIG
from model_store.convert.weights import Weight, Weights, read_file
from model_store.errors import ConversionError

_FILES: Final = ("adapter_model.safetensors", "adapter_model.bin")
_NON_LORA: Final = "non_lora_trainables.bin"
_FACTOR: Final = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")
_UNSUPPORTED: Final = ("use_dora", "fan_in_fan_out", "use_qalora")


@dataclass(frozen=True, slots=True)
class LoraFactors:
    """W += scale * B @ A, with A (rank, in) and B (out, rank)."""

    a: Weight
    b: Weight
    scale: float


def merge_lora(base: Weights, folder: Path) -> Weights:
    """Return the base model's weights with a LoRA release merged into them.

    Its weights outside of the adapter replace the base model's. Merging is done in float32, and the
    result has the base weight's dtype.
    Raises `ConversionError`.
    """
    config = read_json(folder / ADAPTER_CONFIG)
    adapted, replaced = _read_adapter(folder, config)
    weights = base | replaced | _read_non_lora(folder)
    for module, factors in adapted.items():
        name = f"{module}.weight"
        if name not in weights:
            raise ConversionError(f"{factors.a.origin} adapts {name}, which the base model lacks")
        weights[name] = _merge(name, weights[name], factors)
    return weights


def _read_adapter(folder: Path, config: Json) -> tuple[dict[str, LoraFactors], Weights]:
    """Return the factors by module, and the weights that replace the base model's."""
    _check_supported(folder, config)
    file = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if file is None:
        raise ConversionError(f"{folder} has no {' or '.join(_FILES)}")
    sides: dict[str, Weights] = {"A": {}, "B": {}}
    replaced: Weights = {}
    for stored_name, weight in read_file(file).items():
        name = _unwrap_name(stored_name)
        if match := _FACTOR.fullmatch(name):
            sides[match["side"]][match["module"]] = weight
        elif "lora_" in name:
            raise ConversionError(f"{file}: {stored_name} is of a kind that is not supported")
        else:
            replaced[name.replace(".modules_to_save.default.", ".")] = weight
    return _pair_factors(file, config, sides["A"], sides["B"]), replaced


def _check_supported(folder: Path, config: Json) -> None:
    for key in _UNSUPPORTED:
        if config.get(key):
            raise ConversionError(f"{folder / ADAPTER_CONFIG}: {key} is not supported")
    if config.get("peft_type", "LORA") != "LORA":
        raise ConversionError(f"{folder / ADAPTER_CONFIG}: {config['peft_type']} is not a LoRA")


def _pair_factors(file: Path, config: Json, a: Weights, b: Weights) -> dict[str, LoraFactors]:
    unpaired = sorted(a.keys() ^ b.keys())
    if unpaired:
        raise ConversionError(f"{file}: {unpaired[0]} has only one of lora_A and lora_B")
    return {
        module: LoraFactors(
            a[module], b[module], _compute_scale(file, config, module, a[module].shape[0])
        )
        for module in a
    }


def _compute_scale(file: Path, config: Json, module: str, rank: int) -> float:
    """Return alpha / r, or alpha / sqrt(r) for a rank-stabilised LoRA, as peft does."""
    alpha = config.get("lora_alpha")
    for pattern, module_alpha in (config.get("alpha_pattern") or {}).items():
        if re.fullmatch(rf"(?:.*\.)?{pattern}", module):
            alpha = module_alpha
            break
    if not isinstance(alpha, int | float):
        raise ConversionError(f"{file.parent / ADAPTER_CONFIG} has no lora_alpha")
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _merge(name: str, weight: Weight, factors: LoraFactors) -> Weight:
    a, b = factors.a.shape, factors.b.shape
    if len(a) != 2 or len(b) != 2 or a[0] != b[1] or weight.shape != (b[0], a[1]):
        raise ConversionError(
            f"{factors.a.origin}: the factors {b} and {a} do not fit {name} {weight.shape}"
        )
    return Weight(weight.shape, factors.a.origin, _build_merge(weight.load, factors))


def _build_merge(load: Callable[[], Tensor], factors: LoraFactors) -> Callable[[], Tensor]:
    def load_merged() -> Tensor:
        weight = load()
        update = factors.b.load().float() @ factors.a.load().float()
        return (weight.float() + factors.scale * update).to(weight.dtype)

    return load_merged


def _read_non_lora(folder: Path) -> Weights:
    """Return the weights trained outside of the adapter: the projector, perhaps more."""
    if not (folder / _NON_LORA).is_file():
        raise ConversionError(f"{folder} has no {_NON_LORA}, which holds the projector")
    weights = read_file(folder / _NON_LORA)
    return {_unwrap_name(name): weight for name, weight in weights.items()}


def _unwrap_name(name: str) -> str:
    """Return a weight's name without the prefixes of peft and of LLaVA's training."""
    name = name.removeprefix("base_model.model.")
    return name.removeprefix("model.") if name.startswith("model.model.") else name
