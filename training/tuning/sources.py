"""What training starts from: a tower, a language model with its tokenizer, perhaps a projector."""

import json
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    CLIPVisionModel,
    PreTrainedModel,
)

from llava_spec.anyres import Size
from llava_spec.image_settings import CLIP_MEAN, CLIP_STD, AspectRatio, Channels, PatchMerge
from llava_spec.projector import ProjectorConfig, parse_projector_type
from model_store.convert.json_file import read_json
from model_store.convert.tokenizer import ReleasedTokenizer, read_tokenizer
from model_store.errors import ConversionError, StoreError
from model_store.resolve import resolve_model
from server.checkpoint.config import TextConfig
from server.checkpoint.vision import ImageConfig
from server.prompt.tokenizer import PromptTokenizer
from training.tuning.errors import NO_JSON
from training.tuning.model import LlavaForTraining, build_projector
from training.tuning.quantization import choose_device, keep_gradients
from training.tuning.tiles import TileLayout, build_tile_layout, choose_grid_pinpoints

# In a trained checkpoint: its projector alone, and what it was trained from. In a folder of their
# own, since the engine reads every file of weights beside config.json.
PROJECTOR_FILE: Final = "training/mm_projector.safetensors"
SOURCES_FILE: Final = "training/sources.json"
# Beside a tower's weights: its preprocessing. Beside a language model's: its tokenizer, and how it
# is sampled.
TOWER_FILES: Final = ("preprocessor_config.json",)
LANGUAGE_MODEL_FILES: Final = (
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
)
# What comes before a weight's own name in such a file, or in a released one.
_PREFIX: Final = re.compile(r".*mm_projector\.|model\.(?=image_newline$)")
# Language models whose checkpoints the server reads.
LANGUAGE_MODELS: Final = ("llama", "mistral", "qwen2")
# Towers: one alone, or with the text tower that it was trained with.
TOWERS: Final = ("clip_vision_model", "clip")


class SourceError(Exception):
    """A model that cannot be trained; its text says which and why."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Folders of the tower and the language model, and the projector between them.

    Without `projector`, one of the type `projector_type` is made with random weights. What is None
    of `grid_pinpoints` and `patch_merge`, which are for anyres, is as in LLaVA-1.6. `conv_mode` is
    the template that the language model was trained in, where that is known.
    """

    vision_tower: Path
    language_model: Path
    projector_type: str = "mlp2x_gelu"
    projector: Path | None = None
    feature_layer: int = -2
    image_aspect_ratio: AspectRatio = "square"
    grid_pinpoints: str | None = None
    patch_merge: PatchMerge | None = None
    conv_mode: str | None = None

    def save(self, folder: Path, stage: str) -> None:
        """Write them beside a trained checkpoint, for the next stage."""
        content = {"stage": stage} | {
            name: str(value.resolve()) if isinstance(value, Path) else value
            for name, value in asdict(self).items()
            if name not in ("projector", "conv_mode")
        }
        (folder / SOURCES_FILE).write_text(json.dumps(content, indent=2) + "\n")


def copy_files(source: Path, out: Path, names: Iterable[str]) -> None:
    """Copy those files that a folder has into another."""
    for name in names:
        if (source / name).is_file():
            shutil.copy(source / name, out / name)


def find_model_folder(reference: str) -> Path:
    """Return a model's folder, by its path or its name in the store; pull a hub id if missing.

    Raises `SourceError`.
    """
    if Path(reference).is_dir():
        return Path(reference)
    try:
        return resolve_model(reference, lambda name: print(f"pulling {name}", file=sys.stderr))
    except StoreError as error:
        raise SourceError(str(error)) from None


def is_aligned(folder: Path) -> bool:
    """Whether a checkpoint is of stage 1, and says what it was trained from."""
    try:
        return bool(json.loads((folder / SOURCES_FILE).read_text())["stage"] == "align")
    except (OSError, *NO_JSON, KeyError, TypeError):
        return False


def read_sources(folder: Path) -> Sources:
    """Return what the checkpoint of stage 1 was trained from, with its projector.

    Raises `SourceError`.
    """
    try:
        content = json.loads((folder / SOURCES_FILE).read_text())
        return Sources(
            Path(content["vision_tower"]),
            Path(content["language_model"]),
            content["projector_type"],
            folder / PROJECTOR_FILE,
            content["feature_layer"],
            grid_pinpoints=content.get("grid_pinpoints"),
            patch_merge=content.get("patch_merge"),
        )
    except (OSError, *NO_JSON, KeyError, TypeError):
        raise SourceError(f"{folder} has no usable {SOURCES_FILE}") from None


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

    The weights of a new projector and a new `image_newline` depend on the seed alone.
    """
    config = _read_projector_config(sources.projector_type)
    weights = None if sources.projector is None else read_projector(sources.projector)
    tower = _load_tower(sources.vision_tower, dtype)
    pinpoints = _read_grid_pinpoints(sources, tower.config.image_size)
    _check_feature_layer(sources.feature_layer, tower.config.num_hidden_layers)
    language = _load_language_model(sources.language_model, dtype, quantization)
    torch.manual_seed(seed)
    width = language.config.hidden_size
    projector = build_projector(config, tower.config.hidden_size, width).to(dtype)
    model = LlavaForTraining(
        tower,
        projector,
        language,
        feature_layer=sources.feature_layer,
        tiles=_build_tiles(sources, tower.config, width, pinpoints),
    )
    if weights is not None:
        _load_projector(model, weights, sources.projector)
    return model


def _read_projector_config(projector_type: str) -> ProjectorConfig:
    try:
        config = parse_projector_type(projector_type)
    except ValueError as error:
        raise SourceError(str(error)) from None
    if config.kind == "identity":
        raise SourceError("a projector of the type identity has nothing to train")
    return config


def _check_feature_layer(layer: int, num_layers: int) -> None:
    if not -num_layers - 1 <= layer <= num_layers:
        raise SourceError(f"--mm-vision-select-layer {layer} is none of the tower's {num_layers}")


def read_preprocessing(tower: Path) -> TowerPreprocessing:
    """Read a tower's preprocessing; CLIP's own where it is not said. Raises `ConversionError`."""
    settings = read_json(tower / "preprocessor_config.json", required=False)
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
    return {re.sub(_PREFIX, "", name): each for name, each in weights.items()}


def _shorten(error: Exception) -> str:
    """Return the first line of a library's message."""
    return str(error).partition("\n")[0]


def _load_projector(model: LlavaForTraining, weights: dict[str, Tensor], file: Path | None) -> None:
    """Load a projector, and the newline after rows of patches where both file and model have it."""
    newline = weights.pop("image_newline", None)
    try:
        model.projector.load_state_dict(weights)
        if newline is not None and model.image_newline is not None:
            model.load_state_dict({"image_newline": newline}, strict=False)
    except RuntimeError as error:
        raise SourceError(f"{file} does not fit: {' '.join(str(error).split())}") from None


def _read_grid_pinpoints(sources: Sources, size: int) -> tuple[Size, ...]:
    """Return the grids for a tower of `size`; none but for anyres."""
    if sources.image_aspect_ratio != "anyres":
        return ()
    try:
        return choose_grid_pinpoints(sources.grid_pinpoints, size)
    except ConversionError as error:
        raise SourceError(str(error)) from None


def _build_tiles(
    sources: Sources, tower: Any, width: int, pinpoints: tuple[Size, ...]
) -> TileLayout | None:
    if not pinpoints:
        return None
    how = read_preprocessing(sources.vision_tower)
    image = ImageConfig(how.size, "anyres", how.mean, how.std, pinpoints)
    return build_tile_layout(tower, width, image, sources.patch_merge or "spatial_unpad")


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
