"""What a checkpoint says about itself: shapes, preprocessing, template, token ids."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from model_store.released import convert_command, is_released

AspectRatio = Literal["square", "pad"]

LAYERS: Final = "num_hidden_layers"
DTYPES: Final = ("bfloat16", "float16", "float32")

CLIP_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Final = (0.26862954, 0.26130258, 0.27577711)


class CheckpointError(Exception):
    """The checkpoint cannot be served; the message tells the operator why."""


@dataclass(frozen=True, slots=True)
class VisionConfig:
    """The CLIP tower and the projector, in the words of transformers' `CLIPVisionConfig`."""

    image_size: int
    patch_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int  # layers that are run: those up to the one LLaVA reads
    num_heads: int
    hidden_act: str
    layer_norm_eps: float
    keep_class_token: bool
    projector_hidden_act: str
    text_hidden_size: int

    @property
    def num_image_tokens(self) -> int:
        """Rows that one image occupies in the prompt."""
        patches = (self.image_size // self.patch_size) ** 2
        return patches + self.keep_class_token


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """How an image becomes the tower's input."""

    size: int
    aspect_ratio: AspectRatio
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class TextConfig:
    """The language model's side: context, token ids, template and sampling defaults.

    What is None is not said by the checkpoint. `special_tokens` and `chat_template` are what
    transformers would render the checkpoint's own template with.
    """

    max_position_embeddings: int
    image_token_id: int
    bos_token: str | None
    eos_token: str
    conv_mode: str | None
    temperature: float
    top_p: float
    model_type: str = "llava"
    language_model: str = "llama"
    image_start_end: bool = False  # <im_start> and <im_end> around each image
    add_bos_token: bool | None = None
    legacy: bool | None = None  # LlamaTokenizer's: a space after each special token
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    chat_template: str | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A LLaVA checkpoint in the Hugging Face layout."""

    path: Path
    dtype: str
    vision: VisionConfig
    image: ImageConfig
    text: TextConfig


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint's configuration; no weights are touched.

    Raises `CheckpointError` where a file is missing or the model is not a LLaVA with a CLIP tower.
    """
    config = _read_json(path / "config.json")
    if is_released(config):
        raise CheckpointError(
            f"{path} has LLaVA's released layout; convert it first: {convert_command(path)}"
        )
    if config.get("model_type") != "llava":
        raise CheckpointError(
            f"{path} holds a model of type {config.get('model_type')!r}, not a LLaVA"
        )
    try:
        _check_supported(path, config)
        return Checkpoint(
            path=path,
            dtype=_dtype(config),
            vision=_vision_config(config),
            image=_image_config(path, config),
            text=_text_config(path, config),
        )
    except KeyError as error:
        raise CheckpointError(f"{path}: the configuration lacks {error}") from None
    except (AttributeError, TypeError) as error:
        raise CheckpointError(f"{path}: the configuration is not a LLaVA's: {error}") from None


def _check_supported(path: Path, config: dict[str, Any]) -> None:
    tower, layer = config["vision_config"], config["vision_feature_layer"]
    if tower.get("model_type") != "clip_vision_model":
        raise CheckpointError(f"{path}: only CLIP vision towers are supported")
    if not isinstance(layer, int) or not 0 <= _layers_to_run(tower, layer) <= tower[LAYERS]:
        raise CheckpointError(f"{path}: vision_feature_layer {layer!r} is not a layer of the tower")
    if config["vision_feature_select_strategy"] not in ("default", "full"):
        raise CheckpointError(f"{path}: unknown vision_feature_select_strategy")


def _dtype(config: dict[str, Any]) -> str:
    dtype = config.get("dtype") or config.get("torch_dtype") or "bfloat16"
    if dtype not in DTYPES:
        raise CheckpointError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    return str(dtype)


def _vision_config(config: dict[str, Any]) -> VisionConfig:
    tower = config["vision_config"]
    return VisionConfig(
        image_size=tower["image_size"],
        patch_size=tower["patch_size"],
        hidden_size=tower["hidden_size"],
        intermediate_size=tower["intermediate_size"],
        num_layers=_layers_to_run(tower, config["vision_feature_layer"]),
        num_heads=tower["num_attention_heads"],
        hidden_act=tower.get("hidden_act", "quick_gelu"),
        layer_norm_eps=tower.get("layer_norm_eps", 1e-5),
        keep_class_token=config["vision_feature_select_strategy"] == "full",
        projector_hidden_act=config.get("projector_hidden_act", "gelu"),
        text_hidden_size=config["text_config"].get("hidden_size", 4096),
    )


def _layers_to_run(tower: dict[str, Any], feature_layer: int) -> int:
    """Return how many layers lead to `hidden_states[feature_layer]` (index 0: the embeddings)."""
    return feature_layer if feature_layer >= 0 else int(tower[LAYERS]) + 1 + feature_layer


def _image_config(path: Path, config: dict[str, Any]) -> ImageConfig:
    # transformers 5 writes the one file with the other's content inside.
    processor = _read_json(path / "preprocessor_config.json", required=False) or _read_json(
        path / "processor_config.json", required=False
    ).get("image_processor", {})
    mean, std = processor.get("image_mean", CLIP_MEAN), processor.get("image_std", CLIP_STD)
    return ImageConfig(
        size=config["vision_config"]["image_size"],
        aspect_ratio=_aspect_ratio(config),
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
    )


def _aspect_ratio(config: dict[str, Any]) -> AspectRatio:
    """Return `image_aspect_ratio`, or how a checkpoint that does not say was trained.

    transformers' conversions of LLaVA-1.5 drop the key; that model was trained on padded squares.
    """
    aspect_ratio = config.get("image_aspect_ratio", "pad")
    if aspect_ratio == "pad":
        return "pad"
    if aspect_ratio in (None, "square"):
        return "square"
    raise CheckpointError(f"image_aspect_ratio {aspect_ratio!r} is not supported")


def _text_config(path: Path, config: dict[str, Any]) -> TextConfig:
    tokenizer = _read_json(path / "tokenizer_config.json")
    generation = _read_json(path / "generation_config.json", required=False)
    greedy = generation.get("do_sample") is False
    return TextConfig(
        # LLaVA-1.5's converted configs leave out what equals transformers' Llama defaults.
        max_position_embeddings=config["text_config"].get("max_position_embeddings", 2048),
        image_token_id=config["image_token_index"],
        bos_token=None if tokenizer["bos_token"] is None else _token(tokenizer["bos_token"]),
        eos_token=_token(tokenizer["eos_token"]),
        conv_mode=config.get("conv_mode"),
        temperature=0.0 if greedy else _number(generation.get("temperature")),
        top_p=_number(generation.get("top_p")),
        model_type=config["model_type"],
        language_model=config["text_config"].get("model_type", "llama"),
        image_start_end=bool(config.get("mm_use_im_start_end")),
        add_bos_token=tokenizer.get("add_bos_token"),
        legacy=tokenizer.get("legacy"),
        special_tokens={
            name: _token(token)
            for name, token in tokenizer.items()
            if name.endswith("_token") and isinstance(token, str | dict)
        },
        chat_template=_chat_template(path, tokenizer),
    )


def _chat_template(path: Path, tokenizer: dict[str, Any]) -> str | None:
    """Return the checkpoint's own template, from the newest of the places that have held it."""
    file = path / "chat_template.jinja"
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError):
        raise CheckpointError(f"{file} cannot be read") from None
    processor = _read_json(path / "chat_template.json", required=False)
    template = processor.get("chat_template", tokenizer.get("chat_template"))
    if isinstance(template, list):  # several by name, as transformers has saved them
        template = {each["name"]: each["template"] for each in template}.get("default")
    if template is not None and not isinstance(template, str):
        raise CheckpointError(f"{path}: the chat template is not text")
    return template


def _number(value: float | None) -> float:
    return 1.0 if value is None else float(value)


def _token(token: str | dict[str, str]) -> str:
    return token if isinstance(token, str) else token["content"]


def _read_json(file: Path, *, required: bool = True) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        if not required:
            return {}
        raise CheckpointError(f"{file.parent} is not a checkpoint: no {file.name}") from None
    except ValueError:
        raise CheckpointError(f"{file} is not valid JSON") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} does not hold a JSON object")
    return content
