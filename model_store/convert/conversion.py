"""Converts a release into a folder that the server loads: checks all of it, then writes it."""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from tokenizers import Tokenizer

from model_store.convert.architecture import check_architecture
from model_store.convert.conversation import ConvMode, choose_conv_mode
from model_store.convert.image_settings import ImageSettings, read_image_settings
from model_store.convert.json_file import Json, write_json
from model_store.convert.language_model import build_text_config, convert_language_weights
from model_store.convert.projector import convert_projector
from model_store.convert.release import Release, read_release
from model_store.convert.released_weights import EMBEDDING, HEAD, read_released_weights
from model_store.convert.settings_files import (
    build_config,
    build_generation_config,
    build_preprocessor_config,
    build_processor_config,
    build_video_preprocessor_config,
)
from model_store.convert.shapes import select_weights
from model_store.convert.tokenizer import read_tokenizer
from model_store.convert.vision_tower import ConvertedVisionTower, read_vision_tower
from model_store.convert.vocabulary import compute_vocab_size
from model_store.convert.weights import Weights
from model_store.convert.writer import write_weights
from model_store.errors import ConversionError
from model_store.manifest import write_manifest
from model_store.store import find_in_user_store

DTYPES: Final = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
}
_NEWLINE: Final = "model.image_newline"
# Weights beside the language model, and buffers that are computed on loading.
_OTHER: Final = re.compile(
    r"model\.(mm_projector|image_newline|vision_tower)\b.*|.*\.rotary_emb\.inv_freq"
)


@dataclass(frozen=True, slots=True)
class Conversion:
    """Everything to be written. The weights are not loaded yet."""

    release: Release
    weights: Weights
    files: dict[str, Json]
    tokenizer: Tokenizer
    dtype: str
    conv_mode: ConvMode
    vision_tower: str  # its source


def plan_conversion(
    path: Path,
    vision_tower: Path | None,
    base: Path | None,
    conv_mode: str | None,
    dtype: str | None,
) -> Conversion:
    """Read a release and check that it is complete and consistent.

    Writes nothing and loads no weights. Raises `ConversionError`.
    """
    try:
        return _plan_release(read_release(path, base), vision_tower, conv_mode, dtype)
    except (AttributeError, KeyError, TypeError, ValueError, re.error) as error:
        raise ConversionError(f"{path}: a setting has the wrong type: {error}") from None


def _plan_release(
    release: Release, vision_tower: Path | None, conv_mode: str | None, dtype: str | None
) -> Conversion:
    released = read_released_weights(release)
    folder = vision_tower or find_in_user_store(str(release.config.get("mm_vision_tower")))
    tower = read_vision_tower(
        released, release.config, release.path, folder, is_chosen=vision_tower is not None
    )
    images = read_image_settings(
        release.config, tower.config["image_size"], has_class_token=tower.kind.has_class_token
    )
    check_architecture(release, tower, images)
    tokenizer = read_tokenizer(release.language_path, release.config, has_video=images.is_onevision)
    rows = released[EMBEDDING].shape[0] if EMBEDDING in released else 0
    text = build_text_config(
        release,
        compute_vocab_size(rows, tokenizer.num_tokens),
        tokenizer.token_id(tokenizer.pad_token),
    )
    mode = choose_conv_mode(release, conv_mode, tokenizer.has_token)
    dtype = _choose_dtype(release.config, dtype)
    config = build_config(release, text, tower, images, tokenizer)
    return Conversion(
        release=release,
        weights=_convert_weights(release, released, tower, images, text),
        files={
            "config.json": config | {"conv_mode": mode.name, "dtype": dtype},
            "generation_config.json": build_generation_config(release, tokenizer),
            "preprocessor_config.json": build_preprocessor_config(tower, images),
            "processor_config.json": build_processor_config(tower, images),
            **_build_video_files(tower, images),
            "tokenizer_config.json": tokenizer.build_tokenizer_config(
                text["max_position_embeddings"]
            ),
        },
        tokenizer=tokenizer.tokenizer,
        dtype=dtype,
        conv_mode=mode,
        vision_tower=tower.source,
    )


def write_conversion(conversion: Conversion, out: Path) -> None:
    """Write the converted checkpoint to `out`, which must not exist, all of it or nothing.

    Raises `ConversionError`, or `OSError` if writing fails.
    """
    if out.exists():
        raise ConversionError(f"{out} exists already")
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        staging.chmod(0o755)
        write_weights(conversion.weights, staging, DTYPES[conversion.dtype])
        for name, content in conversion.files.items():
            write_json(staging / name, content)
        conversion.tokenizer.save(str(staging / "tokenizer.json"))
        write_manifest(staging, source=f"convert:{conversion.release.path.name}", name=out.name)
        staging.rename(out)
    except BaseException:  # an interrupt also leaves nothing behind
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _convert_weights(
    release: Release,
    released: Weights,
    tower: ConvertedVisionTower,
    images: ImageSettings,
    text: Json,
) -> Weights:
    language = convert_language_weights(released, text, release.path)
    # Dropping a weight would change the model.
    for name, weight in released.items():
        is_tied = name == HEAD and text["tie_word_embeddings"]
        if f"language_model.{name}" not in language and not _OTHER.fullmatch(name) and not is_tied:
            raise ConversionError(f"{weight.origin}: the weight {name} is of an unknown kind")
    hidden = tower.config["hidden_size"] * max(1, len(images.s2_scales))
    return {
        **tower.weights,
        **convert_projector(released, release.config, hidden, release.path),
        **_convert_image_newline(released, images, text["hidden_size"], release.path),
        **language,
    }


def _build_video_files(tower: ConvertedVisionTower, images: ImageSettings) -> dict[str, Json]:
    if not images.is_onevision:
        return {}
    return {"video_preprocessor_config.json": build_video_preprocessor_config(tower)}


def _convert_image_newline(
    released: Weights, images: ImageSettings, hidden: int, path: Path
) -> Weights:
    if not images.has_image_newline:
        return {}
    return {"image_newline": select_weights(released, {_NEWLINE: (hidden,)}, path)[_NEWLINE]}


def _choose_dtype(config: Json, requested: str | None) -> str:
    dtype = requested or config.get("torch_dtype") or config.get("dtype") or "float16"
    if dtype not in DTYPES:
        raise ConversionError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    return str(dtype)
