"""Loads the vision weights of a checkpoint that also holds a language model."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from server.checkpoint.config import Checkpoint, CheckpointError
from server.images.vision.tower import VisionModel

# transformers 4 wrote `vision_tower.vision_model.…`, transformers 5 `model.vision_tower.…`.
VISION_WEIGHT_NAME: Final = re.compile(
    r"^(?:model\.)?(vision_tower\.|multi_modal_projector\.|image_newline$)(?:vision_model\.)?"
)
# What AWQ, GPTQ, compressed-tensors, FP8 and bitsandbytes store beside or in place of a weight.
QUANTISED_NAME: Final = re.compile(
    r"\.(qweight|qzeros|scales|g_idx|weight_packed|weight_scale\w*|weight\.(quant_state|absmax)\b.*)$"
)
# What multiplies half precision on x86, by PyTorch's names.
CPU_INSTRUCTIONS: Final = {
    torch.bfloat16: ("avx512_bf16", "amx_bf16", "avx10_2"),
    torch.float16: ("avx512_fp16", "amx_fp16", "avx10_1", "avx10_2"),
}
FLOATS: Final = (torch.bfloat16, torch.float16, torch.float32)


def load_vision_model(
    checkpoint: Checkpoint, device: torch.device, engine_dtype: torch.dtype | None = None
) -> VisionModel:
    """Load tower and projector from a checkpoint; image_embeds are in the engine's dtype.

    They run in that dtype, too, but beside a quantised language model in that of their weights, and
    in float32 on a CPU without instructions for theirs. The engine's dtype is the checkpoint's
    unless given.
    Reads only the vision tensors, so no second language model is ever in memory.
    Raises `CheckpointError` if one is missing, is quantised or has another shape.
    """
    with torch.device("meta"):
        model = VisionModel(checkpoint.vision, checkpoint.image, checkpoint.video)
    engine_dtype = engine_dtype or getattr(torch, checkpoint.dtype)
    model.output_dtype = engine_dtype
    expected = model.state_dict()
    tensors = dict(_read_tensors(checkpoint.path, set(expected)))
    _check_tensors(checkpoint.path, tensors, expected)
    is_quantised = checkpoint.language_model.quantization is not None
    dtype = _read_own_dtype(tensors) if is_quantised else engine_dtype
    if device.type == "cpu":
        dtype = choose_cpu_dtype(dtype)
    tensors = {name: tensor.to(device, dtype) for name, tensor in tensors.items()}
    model.load_state_dict(tensors, assign=True)
    return model.to(device).eval()


def choose_cpu_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return float32 for a half precision that this CPU has no instructions for.

    Such products take four times as long in bfloat16, eight times in float16, as in float32.
    """
    capabilities = torch.cpu.get_capabilities()
    if capabilities.get("architecture") != "x86_64":
        return dtype
    instructions = CPU_INSTRUCTIONS.get(dtype)
    is_fast = instructions is None or any(capabilities.get(name) for name in instructions)
    return dtype if is_fast else torch.float32


def _check_tensors(
    path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Raise `CheckpointError` where the tensors are not those of the model."""
    missing = sorted(name for name in expected if name not in tensors)
    quantised = _find_quantised(path) or _find_unusual(tensors)
    if quantised is not None:
        raise CheckpointError(
            f"{path}: {quantised} is quantised; only the language model may be. Quantise again"
            " without the vision tower and the projector"
        )
    if missing:
        raise CheckpointError(f"{path} lacks weights of the vision side: {missing[0]}")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: {name} is {tuple(tensor.shape)}, "
                f"the configuration wants {tuple(expected[name].shape)}"
            )


def _find_quantised(path: Path) -> str | None:
    """Return a tensor of the vision side that quantisation leaves in place of a weight."""
    return next(
        (
            name
            for _, names in _open_weight_files(path)
            for name in names
            if VISION_WEIGHT_NAME.match(name) and QUANTISED_NAME.search(name)
        ),
        None,
    )


def _find_unusual(tensors: Mapping[str, Tensor]) -> str | None:
    return next((name for name, each in tensors.items() if each.dtype not in FLOATS), None)


def _read_own_dtype(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """Return the dtype of most weights."""
    ((dtype, _),) = Counter(tensor.dtype for tensor in tensors.values()).most_common(1)
    return dtype


def stores_image_newline(path: Path) -> bool:
    """Whether a checkpoint's weights hold an `image_newline`. Raises `CheckpointError`."""
    return any(
        "image_newline" in map(_normalize_name, names) for _, names in _open_weight_files(path)
    )


def _read_tensors(path: Path, expected_names: set[str]) -> Iterator[tuple[str, Tensor]]:
    for weights, names in _open_weight_files(path):
        for name in names:
            if _normalize_name(name) in expected_names:
                yield _normalize_name(name), weights.get_tensor(name)


def _normalize_name(stored_name: str) -> str:
    return VISION_WEIGHT_NAME.sub(r"\1", stored_name)


def _open_weight_files(path: Path) -> Iterator[tuple[Any, list[str]]]:
    """Yield each open file that holds vision weights, and the names of its tensors."""
    for file in _find_weight_files(path):
        try:
            weights: Any = safe_open(file, framework="pt")
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}") from None
        with weights:
            yield weights, list(weights.keys())


def _find_weight_files(path: Path) -> list[Path]:
    index = path / "model.safetensors.index.json"
    if index.exists():
        weight_map: dict[str, str] = json.loads(index.read_bytes())["weight_map"]
        names = {file for name, file in weight_map.items() if VISION_WEIGHT_NAME.match(name)}
        return [path / name for name in sorted(names)]
    if not (path / "model.safetensors").exists():
        raise CheckpointError(f"{path} has no model.safetensors")
    return [path / "model.safetensors"]
