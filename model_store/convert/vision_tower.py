"""The vision tower, from the release or from a folder of its own."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from model_store.convert.json_file import Json, read_count, read_json
from model_store.convert.s2 import read_scales
from model_store.convert.shapes import Shape, select_weights
from model_store.convert.tower_kinds import KINDS, TowerKind
from model_store.convert.weights import Weight, Weights, list_weight_files, read_folder
from model_store.errors import ConversionError

_NAME_IN_RELEASE: Final = re.compile(
    r"model\.vision_tower\.(?:vision_tower\.)?(?:vision_model\.)?(?P<rest>.+)"
)
# A full model also has a text tower; transformers 5 saves a lone vision tower unprefixed.
_NAME_IN_FOLDER: Final = re.compile(
    r"(?:vision_model\.)?(?P<rest>(?:embeddings|pre_layrnorm|encoder|post_layernorm)\..+)"
)
_CONVERTED: Final = "vision_tower.vision_model."


@dataclass(frozen=True, slots=True)
class ConvertedVisionTower:
    """The tower's configuration, image normalisation and converted weights, and their source."""

    kind: TowerKind
    config: Json  # transformers' CLIPVisionConfig or SiglipVisionConfig
    image_mean: list[float]
    image_std: list[float]
    weights: Weights  # under their converted names
    source: str

    @property
    def num_patches(self) -> int:
        """The number of patches of one view, without the class token."""
        return int((self.config["image_size"] // self.config["patch_size"]) ** 2)


def read_vision_tower(
    released: Weights, config: Json, path: Path, folder: Path | None, *, is_chosen: bool
) -> ConvertedVisionTower:
    """Return the tower that the release in `path` was trained with.

    Follows the released code: a tower that was tuned is the one in the release, any other is the
    one in `folder`, which the release names; its copy in the release is rounded. A folder that
    `is_chosen` by the user comes first. One without weights gives the configuration only.
    Raises `ConversionError`.
    """
    name = str(config.get("mm_vision_tower") or config.get("vision_tower") or "")
    in_release = _rename_weights(released, _NAME_IN_RELEASE)
    takes_release = bool(in_release) and _takes_release(config, folder if is_chosen else None)
    if in_release and not takes_release and folder is None:
        raise ConversionError(
            f"the vision tower of {path} was not tuned, so it is {name}, and not the rounded copy"
            " inside the release: pull it into the store, or give its folder as --vision-tower"
        )
    kind, tower = _read_config(name, folder)
    shapes = {_CONVERTED + name: shape for name, shape in kind.list_shapes(tower).items()}
    if takes_release:
        weights, source = select_weights(in_release, shapes, path), "in the release"
    elif folder is not None:
        weights, source = _read_folder_weights(folder, shapes), str(folder)
    else:
        raise _build_missing_error(name)
    if in_release and not takes_release and _is_tuned(config):
        source = f"{source}, in place of the tuned one in the release"
    hidden = tower["hidden_size"] * max(1, len(read_scales(config, tower["image_size"])))
    if config.get("mm_hidden_size", hidden) != hidden:
        raise ConversionError(
            f"{path} wants a tower of mm_hidden_size {config['mm_hidden_size']}, "
            f"{source} has one of {hidden}"
        )
    mean, std = _read_normalisation(folder, kind, tower)
    return ConvertedVisionTower(kind, tower, mean, std, weights, source)


def _read_folder_weights(folder: Path, shapes: dict[str, Shape]) -> Weights:
    return select_weights(_rename_weights(read_folder(folder), _NAME_IN_FOLDER), shapes, folder)


def _takes_release(config: Json, chosen: Path | None) -> bool:
    """Whether the tower in the release is the one to take, and not that of a folder."""
    if chosen is not None:
        return not list_weight_files(chosen)
    return _is_tuned(config)


def _is_tuned(config: Json) -> bool:
    # LLaVA-NeXT's later trainers list all parts that were tuned.
    parts = str(config.get("mm_tunable_parts") or "").split(",")
    return bool(config.get("unfreeze_mm_vision_tower")) or "mm_vision_tower" in parts


def _build_missing_error(name: str) -> ConversionError:
    return ConversionError(
        f"the vision tower {name or '(mm_vision_tower is not set)'} is not inside the release: "
        "pull it into the store, or give its folder as --vision-tower"
    )


def _read_config(name: str, folder: Path | None) -> tuple[TowerKind, Json]:
    kind, config = _find_released(name) if folder is None else _read_folder_config(folder)
    file = (folder or Path(name)) / "config.json"
    keys = kind.defaults
    counts = {key: read_count(config, key, file) for key in keys if isinstance(keys[key], int)}
    counts["num_hidden_layers"] -= kind.unused_layers
    others = {key: config[key] for key in keys if key not in counts}
    return kind, counts | others | kind.fixed | {"model_type": kind.model_type}


def _find_released(name: str) -> tuple[TowerKind, Json]:
    for kind in KINDS:
        if name in kind.released:
            return kind, kind.released[name]
    raise _build_missing_error(name)


def _read_folder_config(folder: Path) -> tuple[TowerKind, Json]:
    config = read_json(folder / "config.json")
    for kind in KINDS:
        if config.get("model_type") == kind.model_type:
            return kind, kind.defaults | config
        if config.get("model_type") == kind.whole_model_type:
            # Where both exist, transformers takes the second.
            vision = config.get("vision_config") or {}
            return kind, kind.defaults | vision | (config.get("vision_config_dict") or {})
    raise ConversionError(
        f"{folder} is of type {config.get('model_type')!r};"
        " only CLIP and SigLIP towers are supported"
    )


def _rename_weights(weights: Weights, pattern: re.Pattern[str]) -> dict[str, Weight]:
    matches = ((pattern.fullmatch(name), weight) for name, weight in weights.items())
    return {_CONVERTED + match["rest"]: weight for match, weight in matches if match}


def _read_normalisation(
    folder: Path | None, kind: TowerKind, tower: Json
) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation. Checks that the crop size is the tower's."""
    if folder is None:
        return list(kind.mean), list(kind.std)
    file = folder / "preprocessor_config.json"
    processor = read_json(file, required=False)
    size = _read_edge(processor.get("crop_size"))
    if size not in (None, tower["image_size"]):
        raise ConversionError(f"{file} crops to {size}, the tower takes {tower['image_size']}")
    return processor.get("image_mean", list(kind.mean)), processor.get("image_std", list(kind.std))


def _read_edge(size: Any) -> Any:
    """Return the side of a size: a number in older files, an object in newer ones."""
    return size.get("height") if isinstance(size, dict) else size
