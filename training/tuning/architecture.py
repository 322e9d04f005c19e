"""What the configurations of a run's sources say of the model, before any weights are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from transformers import AutoConfig, CLIPVisionModel

from llava_spec.anyres import Size
from llava_spec.projector import ProjectorConfig
from model_store.errors import ConversionError
from server.checkpoint.vision import ImageConfig
from training.tuning.errors import first_line
from training.tuning.model import read_projector_type
from training.tuning.sources import SourceError, Sources, TowerPreprocessing, read_preprocessing
from training.tuning.tiles import TileLayout, build_tile_layout, choose_grid_pinpoints

# Language models whose checkpoints the server reads.
LANGUAGE_MODELS: Final = ("llama", "mistral", "qwen2")
# Towers: one alone, or with the text tower that it was trained with.
TOWERS: Final = ("clip_vision_model", "clip")


@dataclass(frozen=True, slots=True)
class Architecture:
    """The parts of a model: transformers' configurations, and how images become embeddings."""

    tower: Any
    language_model: Any
    projector: ProjectorConfig
    preprocessing: TowerPreprocessing
    tiles: TileLayout | None

    @property
    def num_patches(self) -> int:
        """The number of embeddings of a view."""
        return int((self.tower.image_size // self.tower.patch_size) ** 2)

    @property
    def num_embeddings(self) -> int:
        """The number of tokens that the language model has embeddings of."""
        return int(self.language_model.vocab_size)


def read_architecture(sources: Sources) -> Architecture:
    """Read the configurations. Raises `SourceError` for what cannot be trained."""
    try:
        projector = read_projector_type(sources.projector_type)
    except ValueError as error:
        raise SourceError(str(error)) from None
    tower = _read_tower(sources.vision_tower)
    _check_feature_layer(sources.feature_layer, tower.num_hidden_layers)
    language_model = _read_language_model(sources.language_model)
    try:
        preprocessing = read_preprocessing(sources.vision_tower)
        pinpoints = _read_grid_pinpoints(sources, tower.image_size)
    except ConversionError as error:
        raise SourceError(str(error)) from None
    tiles = None
    if pinpoints:
        how = ImageConfig(
            preprocessing.size, "anyres", preprocessing.mean, preprocessing.std, pinpoints
        )
        width, merge = language_model.hidden_size, sources.patch_merge or "spatial_unpad"
        tiles = build_tile_layout(tower, width, how, merge)
    return Architecture(tower, language_model, projector, preprocessing, tiles)


def _check_feature_layer(layer: int, num_layers: int) -> None:
    if not -num_layers - 1 <= layer <= num_layers:
        raise SourceError(
            f"--mm-vision-select-layer {layer}: the tower has {num_layers} layers, so that is"
            f" {-num_layers - 1} to {num_layers}"
        )


def _read_grid_pinpoints(sources: Sources, size: int) -> tuple[Size, ...]:
    """Return the grids for a tower of `size`; none but for anyres. Raises `ConversionError`."""
    if sources.image_aspect_ratio != "anyres":
        return ()
    return choose_grid_pinpoints(sources.grid_pinpoints, size)


def _read_tower(folder: Path) -> Any:
    kind = read_config(folder, "a CLIP vision tower").model_type
    if kind not in TOWERS:
        raise SourceError(f"{folder} is not a CLIP vision tower: its type is {kind}")
    return CLIPVisionModel.config_class.from_pretrained(folder)


def _read_language_model(folder: Path) -> Any:
    config = read_config(folder, "a language model")
    if config.model_type not in LANGUAGE_MODELS:
        raise SourceError(
            f"{folder} is a model of type {config.model_type}, which cannot be trained; supported:"
            f" {', '.join(LANGUAGE_MODELS)}"
        )
    return config


def read_config(folder: Path, wanted: str) -> Any:
    """Return a model's configuration. Raises `SourceError` where it is not what is `wanted`."""
    try:
        return AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError(f"{folder} is not {wanted}: {first_line(error)}") from None
