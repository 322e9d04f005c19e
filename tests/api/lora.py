"""LoRA adapters of the embedded model, as PEFT writes them."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from model_store.store import find_model

RANK = 8
TARGETS = ("q_proj", "v_proj")


def write_adapter(folder: Path, *, scale: float, rank: int = RANK) -> Path:
    """Write an adapter of random weights; with a `scale` of 0 it changes nothing."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    weights = {}
    with safe_open(find_model("llava-tiny") / "model.safetensors", "pt") as base:
        for name in base.keys():  # noqa: SIM118 - it is no dictionary
            if name.startswith("language_model.") and name.endswith(
                tuple(f"{target}.weight" for target in TARGETS)
            ):
                rows, columns = base.get_slice(name).get_shape()
                stem = "base_model.model." + name.removesuffix(".weight")
                down = torch.randn(RANK, columns, generator=generator)
                weights[f"{stem}.lora_A.weight"] = down * 0.5
                up = torch.randn(rows, RANK, generator=generator)
                weights[f"{stem}.lora_B.weight"] = up * scale
    save_file(weights, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": rank,
        "target_modules": list(TARGETS),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
