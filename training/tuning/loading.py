"""Loads the weights of the model to train."""

import re
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, CLIPVisionModel, PreTrainedModel

from training.tuning.architecture import read_architecture
from training.tuning.errors import first_line
from training.tuning.model import LlavaForTraining, build_projector
from training.tuning.quantization import choose_device, keep_gradients
from training.tuning.sources import SourceError, Sources

# What comes before a weight's own name in a projector's file, ours or a released one.
_PREFIX: Final = re.compile(r".*mm_projector\.|model\.(?=image_newline$)")


def load_model(
    sources: Sources,
    dtype: torch.dtype,
    seed: int,
    quantization: BitsAndBytesConfig | None = None,
) -> LlavaForTraining:
    """Load the model to train, its language model with `quantization`. Raises `SourceError`.

    The weights of a new projector and a new `image_newline` depend on the seed alone.
    """
    architecture = read_architecture(sources)
    weights = None if sources.projector is None else read_projector(sources.projector)
    tower = _load_tower(sources.vision_tower, dtype)
    language = _load_language_model(sources.language_model, dtype, quantization)
    torch.manual_seed(seed)
    width = language.config.hidden_size
    projector = build_projector(architecture.projector, tower.config.hidden_size, width).to(dtype)
    model = LlavaForTraining(
        tower,
        projector,
        language,
        feature_layer=sources.feature_layer,
        tiles=architecture.tiles,
    )
    if weights is not None:
        _load_projector(model, weights, sources.projector)
    return model


def read_projector(file: Path) -> dict[str, Tensor]:
    """Return a projector's weights without their prefixes. Raises `SourceError`.

    The file is this trainer's, or a released `mm_projector.bin`.
    """
    try:
        if file.suffix == ".safetensors":
            weights = load_file(file)
        else:
            weights = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # libraries raise many kinds of exception on damaged files
        raise SourceError(f"{file} is not a projector: {first_line(error)}") from None
    return {re.sub(_PREFIX, "", name): each for name, each in weights.items()}


def _load_projector(model: LlavaForTraining, weights: dict[str, Tensor], file: Path | None) -> None:
    """Load a projector, and the newline after rows of patches where both file and model have it."""
    newline = weights.pop("image_newline", None)
    try:
        model.projector.load_state_dict(weights)
        if newline is not None and model.image_newline is not None:
            model.load_state_dict({"image_newline": newline}, strict=False)
    except RuntimeError as error:
        raise SourceError(f"{file} does not fit: {' '.join(str(error).split())}") from None


def _load_tower(folder: Path, dtype: torch.dtype) -> CLIPVisionModel:
    try:
        return CLIPVisionModel.from_pretrained(folder, dtype=dtype)
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError(f"{folder} is not a CLIP vision tower: {first_line(error)}") from None


def _load_language_model(
    folder: Path, dtype: torch.dtype, quantization: BitsAndBytesConfig | None
) -> PreTrainedModel:
    options: dict[str, Any] = {}
    if quantization is not None:
        options = {"quantization_config": quantization, "device_map": {"": choose_device()}}
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, **options
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError(f"{folder} is not a language model: {first_line(error)}") from None
    keep_gradients(model)
    return model
