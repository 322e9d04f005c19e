"""Checkpoints whose language model is quantised, in the layouts of published ones."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

GROUP_SIZE: Final = 32
# The order of AWQ's eight numbers of four bits in an integer.
AWQ_ORDER: Final = (0, 2, 4, 6, 1, 3, 5, 7)
NOT_QUANTISED: Final = ["vision_tower", "multi_modal_projector", "lm_head"]


@dataclass(frozen=True)
class Method:
    """A method's entry in `config.json`, and what it stores of a weight (out, in).

    `restore` returns the weight that the stored numbers stand for.
    """

    config: Mapping[str, Any]
    store: Callable[[Tensor], dict[str, Tensor]]
    restore: Callable[[Tensor], Tensor]


def _round_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return whole numbers and a scale for each row (out, 1)."""
    scale = weight.abs().amax(dim=1, keepdim=True) / 127
    return (weight / scale).round().clamp(-127, 127), scale


def _store_int8(weight: Tensor) -> dict[str, Tensor]:
    numbers, scale = _round_int8(weight)
    return {"weight": numbers.to(torch.int8), "weight_scale": scale.float()}


def _restore_int8(weight: Tensor) -> Tensor:
    numbers, scale = _round_int8(weight)
    return numbers * scale


def _round_int4(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return numbers from 0 to 15, of which 8 is zero, and scales (out, in / GROUP_SIZE)."""
    groups = weight.unflatten(1, (-1, GROUP_SIZE))
    scale = (groups.abs().amax(dim=2, keepdim=True) / 7).half().float()
    numbers = (groups / scale).round().clamp(-8, 7) + 8
    return numbers.flatten(1).to(torch.int32), scale.squeeze(2)


def _restore_int4(weight: Tensor) -> Tensor:
    numbers, scale = _round_int4(weight)
    return (numbers - 8) * scale.repeat_interleave(GROUP_SIZE, dim=1)


def _pack_int4(numbers: Tensor, order: tuple[int, ...]) -> Tensor:
    """Pack eight numbers along the last dimension into each integer; `order` from the low end."""
    parts = numbers.unflatten(-1, (-1, 8))
    packed = torch.zeros(parts.shape[:-1], dtype=torch.int64)
    for place, index in enumerate(order):
        packed |= parts[..., index].long() << (4 * place)
    return packed.to(torch.int32)


def _store_awq(weight: Tensor) -> dict[str, Tensor]:
    numbers, scale = _round_int4(weight)
    zeros = torch.full((weight.shape[1] // GROUP_SIZE, weight.shape[0]), 8, dtype=torch.int32)
    return {
        "qweight": _pack_int4(numbers.T.contiguous(), AWQ_ORDER),  # (in, out / 8)
        "qzeros": _pack_int4(zeros, AWQ_ORDER),  # (in / GROUP_SIZE, out / 8)
        "scales": scale.T.contiguous().half(),
    }


def _store_gptq(weight: Tensor) -> dict[str, Tensor]:
    numbers, scale = _round_int4(weight)
    zeros = torch.full((weight.shape[1] // GROUP_SIZE, weight.shape[0]), 7, dtype=torch.int32)
    order = tuple(range(8))
    return {
        "qweight": _pack_int4(numbers, order).T.contiguous(),  # (in / 8, out)
        "qzeros": _pack_int4(zeros, order),  # GPTQ stores zero points less one
        "scales": scale.T.contiguous().half(),
        "g_idx": torch.arange(weight.shape[1], dtype=torch.int32) // GROUP_SIZE,
    }


METHODS: Final[Mapping[str, Method]] = {
    "compressed-tensors": Method(
        {
            "quant_method": "compressed-tensors",
            "format": "int-quantized",
            "quantization_status": "compressed",
            "ignore": ["re:.*vision_tower.*", "re:.*multi_modal_projector.*", "re:.*lm_head"],
            "config_groups": {
                "group_0": {
                    "targets": ["Linear"],
                    "weights": {
                        "num_bits": 8,
                        "type": "int",
                        "symmetric": True,
                        "strategy": "channel",
                    },
                    "input_activations": {
                        "num_bits": 8,
                        "type": "int",
                        "symmetric": True,
                        "strategy": "token",
                        "dynamic": True,
                    },
                }
            },
        },
        _store_int8,
        _restore_int8,
    ),
    "awq": Method(
        {
            "quant_method": "awq",
            "bits": 4,
            "group_size": GROUP_SIZE,
            "zero_point": True,
            "version": "gemm",
            "modules_to_not_convert": NOT_QUANTISED,
        },
        _store_awq,
        _restore_int4,
    ),
    "gptq": Method(
        {
            "quant_method": "gptq",
            "bits": 4,
            "group_size": GROUP_SIZE,
            "desc_act": False,
            "sym": True,
            "lm_head": False,
            "dynamic": {f"-:.*{name}.*": {} for name in NOT_QUANTISED[:2]},
        },
        _store_gptq,
        _restore_int4,
    ),
}


def quantise(folder: Path, method: Method, *, in_text_config: bool = False) -> None:
    """Quantise the linear layers of a checkpoint's language model in place."""
    weights: dict[str, Tensor] = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        if _is_quantised(name):
            stored = method.store(tensor.float())
            weights |= {f"{name.removesuffix('.weight')}.{part}": t for part, t in stored.items()}
        else:
            weights[name] = tensor
    save_file(weights, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    place = config["text_config"] if in_text_config else config
    place["quantization_config"] = dict(method.config)
    (folder / "config.json").write_text(json.dumps(config))


def restore_weights(model: Any, method: Method) -> None:
    """Replace a model's weights by those that the quantised ones stand for."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if _is_quantised(name):
                weight.copy_(method.restore(weight))


def _is_quantised(name: str) -> bool:
    return ".layers." in name and name.endswith("proj.weight") and "vision_tower" not in name
