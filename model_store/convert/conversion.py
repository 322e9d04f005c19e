"""A release into a folder that the server loads: read and checked whole, then written."""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from tokenizers import Tokenizer

from model_store.convert.conversation import ConvMode, choose_conv_mode
from model_store.convert.image_settings import ImageConfig, read_image_config
from model_store.convert.json_file import Json, write_json
from model_store.convert.language_model import language_weights, text_config
from model_store.convert.projector import projector
from model_store.convert.release import Release, read_release
from model_store.convert.released_weights import EMBEDDING, read_released
from model_store.convert.settings_files import (
    generation_config,
    model_config,
    preprocessor_config,
    processor_config,
)
from model_store.convert.shapes import pick
from model_store.convert.tokenizer import read_tokenizer
from model_store.convert.vision_tower import VisionTower, read_vision_tower
from model_store.convert.vocabulary import padded_size
from model_store.convert.weights import Weights
from model_store.convert.writer import write_weights
from model_store.errors import ConversionError
from model_store.manifest import write_manifest
from model_store.store import find_stored

DTYPES: Final = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
}
_NEWLINE: Final = "model.image_newline"
# What a release holds beside its language model, and buffers that are computed anew.
_OTHER: Final = re.compile(
    r"model\.(mm_projector|image_newline|vision_tower)\b.*|.*\.rotary_emb\.inv_freq"
)


@dataclass(frozen=True, slots=True)
class Conversion:
    """All that will be written; the weights are still where they were."""

    release: Release
    weights: Weights
    files: dict[str, Json]
    tokenizer: Tokenizer
    dtype: str
    conv_mode: ConvMode
    vision_tower: str  # where it was found


def plan(
    path: Path,
    vision_tower: Path | None,
    base: Path | None,
    conv_mode: str | None,
    dtype: str | None,
) -> Conversion:
    """Read a release and check that all of it is there and fits together.

    Nothing is written, and no weight is in memory. Raises `ConversionError`.
    """
    try:
        return _plan(read_release(path, base), vision_tower, conv_mode, dtype)
    except (AttributeError, KeyError, TypeError, ValueError, re.error) as error:
        raise ConversionError(
            f"{path}: a setting is not of the kind it should be: {error}"
        ) from None


def _plan(
    release: Release, vision_tower: Path | None, conv_mode: str | None, dtype: str | None
) -> Conversion:
    released = read_released(release)
    folder = vision_tower or find_stored(str(release.config.get("mm_vision_tower")))
    tower = read_vision_tower(released, release.config, release.path, folder)
    images = read_image_config(release.config, tower.config["image_size"])
    _check_feature_layer(images, tower)
    tokenizer = read_tokenizer(release.language_path, release.config)
    rows = released[EMBEDDING].shape[0] if EMBEDDING in released else 0
    text = text_config(
        release,
        padded_size(rows, tokenizer.num_tokens),
        tokenizer.token_id(tokenizer.pad_token),
    )
    mode = choose_conv_mode(release, conv_mode, tokenizer.has_token)
    dtype = _dtype(release.config, dtype)
    config = model_config(release, text, tower, images, tokenizer)
    return Conversion(
        release=release,
        weights=_weights(release, released, tower, images, text),
        files={
            "config.json": config | {"conv_mode": mode.name, "dtype": dtype},
            "generation_config.json": generation_config(release, tokenizer),
            "preprocessor_config.json": preprocessor_config(tower, images),
            "processor_config.json": processor_config(tower, images),
            "tokenizer_config.json": tokenizer.settings(text["max_position_embeddings"]),
        },
        tokenizer=tokenizer.tokenizer,
        dtype=dtype,
        conv_mode=mode,
        vision_tower=tower.source,
    )


def write(conversion: Conversion, out: Path) -> None:
    """Write the converted checkpoint to `out`, which must not exist: all of it or nothing.

    Raises `ConversionError`, or `OSError` where the disk refuses.
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
    except BaseException:  # an interrupt leaves nothing behind either
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _weights(
    release: Release, released: Weights, tower: VisionTower, images: ImageConfig, text: Json
) -> Weights:
    language = language_weights(released, text, release.path)
    # A weight that nothing here reads would be lost, and the model another one.
    for name, weight in released.items():
        if f"language_model.{name}" not in language and not _OTHER.fullmatch(name):
            raise ConversionError(f"{weight.origin}: the weight {name} is of an unknown kind")
    hidden = tower.config["hidden_size"]
    return {
        **tower.weights,
        **projector(released, release.config, hidden, release.path),
        **_newline(released, images, text["hidden_size"], release.path),
        **language,
    }


def _check_feature_layer(images: ImageConfig, tower: VisionTower) -> None:
    layers = tower.config["num_hidden_layers"]
    if not -layers - 1 <= images.feature_layer <= layers:
        raise ConversionError(
            f"mm_vision_select_layer {images.feature_layer} is not one of the tower's {layers}"
        )


def _newline(released: Weights, images: ImageConfig, hidden: int, path: Path) -> Weights:
    if not images.has_newline:
        return {}
    return {"image_newline": pick(released, {_NEWLINE: (hidden,)}, path)[_NEWLINE]}


def _dtype(config: Json, asked: str | None) -> str:
    dtype = asked or config.get("torch_dtype") or config.get("dtype") or "float16"
    if dtype not in DTYPES:
        raise ConversionError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    return str(dtype)
