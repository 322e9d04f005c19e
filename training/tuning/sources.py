"""What training starts from: a tower, a language model with its tokenizer, perhaps a projector."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    CLIPVisionModel,
    PreTrainedModel,
)

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD, AspectRatio, Channels
from llava_spec.projector import parse_projector_type
from model_store.convert.tokenizer import ReleasedTokenizer, read_tokenizer
from model_store.errors import ConversionError
from server.checkpoint.config import TextConfig
from server.prompt.tokenizer import PromptTokenizer
from training.tuning.model import LlavaForTraining, build_projector
from training.tuning.quantization import choose_device, keep_gradients

# In a trained checkpoint: its projector alone, and what it was trained from. In a folder of their
# own, since the engine reads every file of weights beside config.json.
PROJECTOR_FILE: Final = "training/mm_projector.safetensors"
SOURCES_FILE: Final = "training/sources.json"
# Language models whose checkpoints the server reads.
LANGUAGE_MODELS: Final = ("llama", "mistral", "qwen2")
# Towers: one alone, or with the text tower that it was trained with.
TOWERS: Final = ("clip_vision_model", "clip")


class SourceError(Exception):
    """A model that cannot be trained; its text says which and why."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Folders of the tower and the language model, and the projector between them.

    Without `projector`, one of the type `projector_type` is made with random weights.
    """

    vision_tower: Path
    language_model: Path
    projector_type: str = "mlp2x_gelu"
    projector: Path | None = None
    feature_layer: int = -2
    image_aspect_ratio: AspectRatio = "square"

    def save(self, folder: Path, stage: str) -> None:
        """Write them beside a trained checkpoint, for the next stage."""
        content = {"stage": stage} | {
            name: str(value.resolve()) if isinstance(value, Path) else value
            for name, value in asdict(self).items()
            if name != "projector"
        }
        (folder / SOURCES_FILE).write_text(json.dumps(content, indent=2) + "\n")


def read_sources(folder: Path, image_aspect_ratio: AspectRatio) -> Sources:
    """Return what the checkpoint of stage 1 was trained from, with its projector.

    `image_aspect_ratio` is that of the next stage. Raises `SourceError`.
    """
    try:
        content = json.loads((folder / SOURCES_FILE).read_text())
        sources = Sources(
            Path(content["vision_tower"]),
            Path(content["language_model"]),
            content["projector_type"],
            folder / PROJECTOR_FILE,
            content["feature_layer"],
            image_aspect_ratio,
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise SourceError(
            f"{folder} is not what `train align` wrote: it has no usable {SOURCES_FILE}; name"
            " --vision-tower, --language-model and --mm-projector instead"
        ) from None
    if content["stage"] != "align":
        raise SourceError(
            f"{folder} is of stage 2: its language model has been trained, and --model takes what"
            " `train align` wrote"
        )
    return sources


@dataclass(frozen=True, slots=True)
class TowerPreprocessing:
    """How the tower's images are made: their size, mean and standard deviation."""

    size: int
    mean: Channels
    std: Channels


def load_model(
    sources: Sources,
    dtype: torch.dtype,
    seed: int,
    quantization: BitsAndBytesConfig | None = None,
) -> LlavaForTraining:
    """Load the model to train, its language model with `quantization`. Raises `SourceError`.

    A new projector's weights depend on the seed alone.
    """
    tower = _load_tower(sources.vision_tower, dtype)
    language = _load_language_model(sources.language_model, dtype, quantization)
    torch.manual_seed(seed)
    try:
        config = parse_projector_type(sources.projector_type)
    except ValueError as error:
        raise SourceError(str(error)) from None
    if config.kind == "identity":
        raise SourceError("a projector of the type identity has nothing to train")
    num_layers = tower.config.num_hidden_layers
    if not -num_layers - 1 <= sources.feature_layer <= num_layers:
        raise SourceError(
            f"--mm-vision-select-layer {sources.feature_layer} is none of the tower's {num_layers}"
        )
    width = language.config.hidden_size
    projector = build_projector(config, tower.config.hidden_size, width).to(dtype)
    if sources.projector is not None:
        _load_projector(projector, sources.projector)
    return LlavaForTraining(tower, projector, language, feature_layer=sources.feature_layer)


def read_preprocessing(tower: Path) -> TowerPreprocessing:
    """Read a tower's preprocessing; CLIP's own where it is not said."""
    file = tower / "preprocessor_config.json"
    settings: Mapping[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return TowerPreprocessing(
        size=CLIPVisionModel.config_class.from_pretrained(tower).image_size,
        mean=tuple(settings.get("image_mean", CLIP_MEAN)),
        std=tuple(settings.get("image_std", CLIP_STD)),
    )


def load_tokenizer(folder: Path) -> tuple[ReleasedTokenizer, PromptTokenizer]:
    """Load a language model's tokenizer, as the server will use it. Raises `SourceError`."""
    try:
        released = read_tokenizer(folder, {})
    except ConversionError as error:
        raise SourceError(str(error)) from None
    return released, build_prompt_tokenizer(released)


def build_prompt_tokenizer(released: ReleasedTokenizer) -> PromptTokenizer:
    """Return a tokenizer that makes of prompts what the server's does."""
    text = TextConfig(
        max_position_embeddings=0,
        image_token_id=0,
        bos_token=released.bos_token,
        eos_token=released.eos_token,
        conv_mode=None,
        temperature=0.0,
        top_p=1.0,
        add_bos_token=released.add_bos_token,
    )
    return PromptTokenizer(released.tokenizer, text)


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
        raise SourceError(f"{file} is no projector: {_shorten(error)}") from None
    return {name.rpartition("mm_projector.")[2]: each for name, each in weights.items()}


def _shorten(error: Exception) -> str:
    """Return the first line of a library's message."""
    return str(error).partition("\n")[0]


def _load_projector(projector: nn.Module, file: Path) -> None:
    try:
        projector.load_state_dict(read_projector(file))
    except RuntimeError as error:
        raise SourceError(f"{file} does not fit: {' '.join(str(error).split())}") from None


def _load_tower(folder: Path, dtype: torch.dtype) -> CLIPVisionModel:
    try:
        kind = AutoConfig.from_pretrained(folder).model_type
        if kind not in TOWERS:
            raise SourceError(f"{folder} is no CLIP vision tower: its type is {kind}")
        return CLIPVisionModel.from_pretrained(folder, dtype=dtype)
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError(f"{folder} is no CLIP vision tower: {_shorten(error)}") from None


def _load_language_model(
    folder: Path, dtype: torch.dtype, quantization: BitsAndBytesConfig | None
) -> PreTrainedModel:
    options: dict[str, Any] = {}
    if quantization is not None:
        options = {"quantization_config": quantization, "device_map": {"": choose_device()}}
    try:
        kind = AutoConfig.from_pretrained(folder).model_type
        if kind not in LANGUAGE_MODELS:
            raise SourceError(
                f"{folder} is a language model of the type {kind}; what can be trained and"
                f" served is {', '.join(LANGUAGE_MODELS)}"
            )
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, **options
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError(f"{folder} is no language model: {_shorten(error)}") from None
    keep_gradients(model)
    return model
