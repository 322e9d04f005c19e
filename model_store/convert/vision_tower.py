"""CLIP's vision tower, from the release or from a folder of its own."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from model_store.convert.json_file import Json, read_count, read_json
from model_store.convert.shapes import Shape, linear_shapes, select_weights
from model_store.convert.weights import Weight, Weights, read_folder
from model_store.errors import ConversionError

# transformers omits from a CLIP's config.json the values that equal these.
_DEFAULTS: Final[Json] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "projection_dim": 512,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
_LARGE: Final[Json] = _DEFAULTS | {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "projection_dim": 768,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
}
_LARGE_336: Final[Json] = _LARGE | {"image_size": 336}
# The towers of LLaVA's and ShareGPT4V's releases: their configuration needs no download.
_RELEASED_TOWERS: Final[dict[str, Json]] = {
    "openai/clip-vit-large-patch14": _LARGE,
    "openai/clip-vit-large-patch14-336": _LARGE_336,
    "Lin-Chen/ShareGPT4V-7B_Pretrained_vit-large336-l12": _LARGE_336,
    "Lin-Chen/ShareGPT4V-13B_Pretrained_vit-large336-l12": _LARGE_336,
}

_NAME_IN_RELEASE: Final = re.compile(
    r"model\.vision_tower\.(?:vision_tower\.)?(?:vision_model\.)?(?P<rest>.+)"
)
# A full CLIP model also has a text tower; transformers 5 saves a lone vision tower unprefixed.
_NAME_IN_FOLDER: Final = re.compile(
    r"(?:vision_model\.)?(?P<rest>(?:embeddings|pre_layrnorm|encoder|post_layernorm)\..+)"
)
_CONVERTED: Final = "vision_tower.vision_model."


@dataclass(frozen=True, slots=True)
class ConvertedVisionTower:
    """The tower's configuration, image normalisation and converted weights, and their source."""

    config: Json  # transformers' CLIPVisionConfig
    image_mean: list[float]
    image_std: list[float]
    weights: Weights  # under their converted names
    source: str

    @property
    def num_patches(self) -> int:
        """The number of patches of one view, without the class token."""
        return int((self.config["image_size"] // self.config["patch_size"]) ** 2)


def read_vision_tower(
    released: Weights, config: Json, path: Path, folder: Path | None
) -> ConvertedVisionTower:
    """Return the tower that the release in `path` was trained with.

    A release whose tower was tuned holds its weights. These take precedence over those of
    `folder`, which then only gives the configuration.
    Raises `ConversionError`.
    """
    name = str(config.get("mm_vision_tower") or config.get("vision_tower") or "")
    tower = _read_config(name, folder)
    shapes = _list_shapes(tower)
    in_release = _rename_weights(released, _NAME_IN_RELEASE)
    if in_release:
        weights, source = select_weights(in_release, shapes, path), "in the release"
    elif folder:
        in_folder = _rename_weights(read_folder(folder), _NAME_IN_FOLDER)
        weights, source = select_weights(in_folder, shapes, folder), str(folder)
    else:
        raise _build_missing_error(name)
    if config.get("mm_hidden_size", tower["hidden_size"]) != tower["hidden_size"]:
        raise ConversionError(
            f"{path} wants a tower of mm_hidden_size {config['mm_hidden_size']}, "
            f"{source} has one of {tower['hidden_size']}"
        )
    mean, std = _read_normalisation(folder, tower)
    return ConvertedVisionTower(tower, mean, std, weights, source)


def _build_missing_error(name: str) -> ConversionError:
    return ConversionError(
        f"the vision tower {name or '(mm_vision_tower is not set)'} is not inside the release: "
        "pull it into the store, or give its folder as --vision-tower"
    )


def _read_config(name: str, folder: Path | None) -> Json:
    if folder is None:
        if name not in _RELEASED_TOWERS:
            raise _build_missing_error(name)
        config = _RELEASED_TOWERS[name]
    else:
        config = _DEFAULTS | _read_clip_config(folder)
    file = (folder or Path(name)) / "config.json"
    counts = {
        key: read_count(config, key, file) for key in _DEFAULTS if isinstance(_DEFAULTS[key], int)
    }
    others = {key: config[key] for key in _DEFAULTS if key not in counts}
    return counts | others | {"model_type": "clip_vision_model"}


def _read_clip_config(folder: Path) -> Json:
    config = read_json(folder / "config.json")
    model_type = config.get("model_type")
    if model_type == "clip_vision_model":
        return config
    if model_type != "clip":
        raise ConversionError(f"{folder} is of type {model_type!r}; only CLIP towers are supported")
    # Where both exist, transformers takes the second.
    return {**(config.get("vision_config") or {}), **(config.get("vision_config_dict") or {})}


def _list_shapes(config: Json) -> dict[str, Shape]:
    hidden, patch, inner = config["hidden_size"], config["patch_size"], config["intermediate_size"]
    positions = (config["image_size"] // patch) ** 2 + 1
    shapes: dict[str, Shape] = {
        "embeddings.class_embedding": (hidden,),
        "embeddings.patch_embedding.weight": (hidden, config["num_channels"], patch, patch),
        "embeddings.position_embedding.weight": (positions, hidden),
    }
    norms = ["pre_layrnorm", "post_layernorm"]
    for index in range(config["num_hidden_layers"]):
        layer = f"encoder.layers.{index}"
        norms += [f"{layer}.layer_norm1", f"{layer}.layer_norm2"]
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= linear_shapes(f"{layer}.self_attn.{projection}", hidden, hidden)
        shapes |= linear_shapes(f"{layer}.mlp.fc1", hidden, inner)
        shapes |= linear_shapes(f"{layer}.mlp.fc2", inner, hidden)
    for norm in norms:
        shapes |= {f"{norm}.weight": (hidden,), f"{norm}.bias": (hidden,)}
    return {_CONVERTED + name: shape for name, shape in shapes.items()}


def _rename_weights(weights: Weights, pattern: re.Pattern[str]) -> dict[str, Weight]:
    matches = ((pattern.fullmatch(name), weight) for name, weight in weights.items())
    return {_CONVERTED + match["rest"]: weight for match, weight in matches if match}


def _read_normalisation(folder: Path | None, tower: Json) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation. Checks that the crop size is the tower's."""
    if folder is None:
        return list(CLIP_MEAN), list(CLIP_STD)
    file = folder / "preprocessor_config.json"
    processor = read_json(file, required=False)
    size = _read_edge(processor.get("crop_size"))
    if size not in (None, tower["image_size"]):
        raise ConversionError(f"{file} crops to {size}, the tower takes {tower['image_size']}")
    return processor.get("image_mean", list(CLIP_MEAN)), processor.get("image_std", list(CLIP_STD))


def _read_edge(size: Any) -> Any:
    """Return the side of a size: a number in older files, an object in newer ones."""
    return size.get("height") if isinstance(size, dict) else size
