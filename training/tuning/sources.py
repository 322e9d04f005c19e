"""What training starts from: a tower, a language model with its tokenizer, perhaps a projector."""

import json
import shutil
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from transformers import CLIPVisionModel

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD, AspectRatio, Channels, PatchMerge
from model_store.convert.json_file import read_json
from model_store.convert.tokenizer import ReleasedTokenizer, read_tokenizer
from model_store.errors import ConversionError, StoreError
from model_store.resolve import resolve_model
from server.checkpoint.config import TextConfig
from server.prompt.tokenizer import PromptTokenizer
from training.tuning.errors import NO_JSON

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
