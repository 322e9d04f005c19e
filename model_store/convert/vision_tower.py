"""CLIP's vision tower, inside the release or in a folder of its own."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from model_store.convert.json_file import Json, count, read_json
from model_store.convert.shapes import Shape, linear, pick
from model_store.convert.weights import Weight, Weights, read_folder
from model_store.errors import ConversionError

CLIP_MEAN: Final = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD: Final = [0.26862954, 0.26130258, 0.27577711]

# transformers leaves out of a CLIP's config.json what equals these.
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
# The towers of LLaVA's own releases, whose configuration needs no second download.
_KNOWN: Final[dict[str, Json]] = {
    "openai/clip-vit-large-patch14": _LARGE,
    "openai/clip-vit-large-patch14-336": _LARGE | {"image_size": 336},
}

_INSIDE: Final = re.compile(
    r"model\.vision_tower\.(?:vision_tower\.)?(?:vision_model\.)?(?P<rest>.+)"
)
# A full CLIP model also has a text tower; transformers 5 saves a lone vision tower unprefixed.
_BESIDE: Final = re.compile(
    r"(?:vision_model\.)?(?P<rest>(?:embeddings|pre_layrnorm|encoder|post_layernorm)\..+)"
)
_CONVERTED: Final = "vision_tower.vision_model."


@dataclass(frozen=True, slots=True)
class VisionTower:
    """The tower's configuration, what its images are normalised with, and where it was found."""

    config: Json  # transformers' CLIPVisionConfig
    image_mean: list[float]
    image_std: list[float]
    weights: Weights  # under their converted names
    source: str

    @property
    def num_patches(self) -> int:
        """Patches of one view, the class token not counted."""
        return int((self.config["image_size"] // self.config["patch_size"]) ** 2)


def read_vision_tower(
    released: Weights, config: Json, path: Path, folder: Path | None
) -> VisionTower:
    """Return the tower that the release in `path` was trained with.

    Weights inside the release, which it has where the tower was tuned, come before those of
    `folder`, which is then read for its configuration only.
    Raises `ConversionError`.
    """
    name = str(config.get("mm_vision_tower") or config.get("vision_tower") or "")
    tower = _configuration(name, folder)
    wanted = _shapes(tower)
    inside = _renamed(released, _INSIDE)
    if inside:
        weights, source = pick(inside, wanted, path), "in the release"
    elif folder:
        beside = _renamed(read_folder(folder), _BESIDE)
        weights, source = pick(beside, wanted, folder), str(folder)
    else:
        raise _missing(name)
    if config.get("mm_hidden_size", tower["hidden_size"]) != tower["hidden_size"]:
        raise ConversionError(
            f"{path} wants a tower of mm_hidden_size {config['mm_hidden_size']}, "
            f"{source} has one of {tower['hidden_size']}"
        )
    mean, std = _normalisation(folder, tower)
    return VisionTower(tower, mean, std, weights, source)


def _missing(name: str) -> ConversionError:
    return ConversionError(
        f"the vision tower {name or '(mm_vision_tower is not set)'} is not inside the release: "
        "pull it into the store, or give its folder as --vision-tower"
    )


def _configuration(name: str, folder: Path | None) -> Json:
    if folder is None:
        if name not in _KNOWN:
            raise _missing(name)
        found = _KNOWN[name]
    else:
        found = _DEFAULTS | _clip_config(folder)
    file = (folder or Path(name)) / "config.json"
    counts = {key: count(found, key, file) for key in _DEFAULTS if isinstance(_DEFAULTS[key], int)}
    others = {key: found[key] for key in _DEFAULTS if key not in counts}
    return counts | others | {"model_type": "clip_vision_model"}


def _clip_config(folder: Path) -> Json:
    config = read_json(folder / "config.json")
    model_type = config.get("model_type")
    if model_type == "clip_vision_model":
        return config
    if model_type != "clip":
        raise ConversionError(f"{folder} is of type {model_type!r}; only CLIP towers are supported")
    # Where both are there, transformers lets the second one win.
    return {**(config.get("vision_config") or {}), **(config.get("vision_config_dict") or {})}


def _shapes(config: Json) -> dict[str, Shape]:
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
            shapes |= linear(f"{layer}.self_attn.{projection}", hidden, hidden)
        shapes |= linear(f"{layer}.mlp.fc1", hidden, inner)
        shapes |= linear(f"{layer}.mlp.fc2", inner, hidden)
    for norm in norms:
        shapes |= {f"{norm}.weight": (hidden,), f"{norm}.bias": (hidden,)}
    return {_CONVERTED + name: shape for name, shape in shapes.items()}


def _renamed(weights: Weights, pattern: re.Pattern[str]) -> dict[str, Weight]:
    matches = ((pattern.fullmatch(name), weight) for name, weight in weights.items())
    return {_CONVERTED + match["rest"]: weight for match, weight in matches if match}


def _normalisation(folder: Path | None, tower: Json) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation; the size must be the one the tower is for."""
    if folder is None:
        return CLIP_MEAN, CLIP_STD
    file = folder / "preprocessor_config.json"
    processor = read_json(file, required=False)
    size = _edge(processor.get("crop_size"))
    if size not in (None, tower["image_size"]):
        raise ConversionError(f"{file} crops to {size}, the tower takes {tower['image_size']}")
    return processor.get("image_mean", CLIP_MEAN), processor.get("image_std", CLIP_STD)


def _edge(size: Any) -> Any:
    """Return a size that older files give as a number and newer ones as an object."""
    return size.get("height") if isinstance(size, dict) else size
