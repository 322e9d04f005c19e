"""A checkpoint's configuration: shapes, preprocessing, template, token ids."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from model_store.released import format_convert_command, has_mpt, is_released
from server.checkpoint.defaults import fill_defaults
from server.checkpoint.image_token_bound import max_image_tokens
from server.checkpoint.language_model import LanguageModel, read_language_model
from server.checkpoint.preprocessing import read_image_config
from server.checkpoint.video import VideoConfig, read_video_config, read_video_token_id
from server.checkpoint.vision import ImageConfig, VisionConfig, read_vision_config
from server.checkpoint.whole_number import read_whole_number

MODEL_TYPES: Final = ("llava", "llava_next", "llava_next_video", "llava_onevision", "vipllava")
DTYPES: Final = ("bfloat16", "float16", "float32")


class CheckpointError(Exception):
    """The checkpoint cannot be served; the message gives the operator the reason."""


@dataclass(frozen=True, slots=True)
class TextConfig:
    """The language model's side: context, token ids, template and sampling defaults.

    A field is None where the checkpoint does not have it. `special_tokens` and `chat_template` are
    those that transformers renders the checkpoint's own template with.
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
    video_token_id: int | None = None  # None: the model does not support video
    has_rope_scaling: bool = False  # so the context may be longer than the positions


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A LLaVA checkpoint in the Hugging Face layout."""

    path: Path
    dtype: str
    vision: VisionConfig
    image: ImageConfig
    text: TextConfig
    language_model: LanguageModel
    video: VideoConfig | None = None  # None: the model does not support video

    @property
    def max_image_tokens(self) -> int:
        """An upper bound on the image tokens of one image."""
        return max_image_tokens(self.vision, self.image)

    def resolve_dtype(self, requested: str, *, on_cpu: bool = False) -> str:
        """Return PyTorch's name of a dtype; `auto` is the checkpoint's own, on a CPU no float16.

        CPUs multiply float16 an order of magnitude slower than bfloat16.
        """
        own = "bfloat16" if on_cpu and self.dtype == "float16" else self.dtype
        names = {"auto": own, "half": "float16", "float": "float32"}
        return names.get(requested, requested)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint's configuration, without its weights.

    Raises `CheckpointError` where a file is missing or the model is not a LLaVA that is supported.
    """
    config = _read_json(path / "config.json")
    if has_mpt(config):
        raise CheckpointError(f"{path}: MPT language models are not supported")
    if is_released(config):
        raise CheckpointError(
            f"{path} has LLaVA's released layout; convert it first: {format_convert_command(path)}"
        )
    if config.get("model_type") not in MODEL_TYPES:
        raise CheckpointError(
            f"{path} holds a model of type {config.get('model_type')!r}, not a LLaVA"
        )
    try:
        config = fill_defaults(config)
        vision = read_vision_config(config)
        return Checkpoint(
            path=path,
            dtype=_read_dtype(config),
            vision=vision,
            image=_read_image_preprocessing(path, config),
            text=_read_text_config(path, config),
            language_model=read_language_model(config),
            video=read_video_config(config, _read_video_processor(path), vision),
        )
    except KeyError as error:
        raise CheckpointError(f"{path}: the configuration lacks {error}") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except (AttributeError, TypeError) as error:
        raise CheckpointError(f"{path}: the configuration is not a LLaVA's: {error}") from None


def _read_dtype(config: dict[str, Any]) -> str:
    dtype = config.get("dtype") or config.get("torch_dtype") or "bfloat16"
    if dtype not in DTYPES:
        raise CheckpointError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    return str(dtype)


def _read_image_preprocessing(path: Path, config: dict[str, Any]) -> ImageConfig:
    # transformers 5 writes the first file's content into the second.
    processor = _read_json(path / "preprocessor_config.json", required=False) or _read_json(
        path / "processor_config.json", required=False
    ).get("image_processor", {})
    return read_image_config(config, processor)


def _read_video_processor(path: Path) -> dict[str, Any]:
    """Return the video processor's settings, from the first file that transformers takes, too."""
    nested = _read_json(path / "processor_config.json", required=False).get("video_processor")
    files = (path / "video_preprocessor_config.json", path / "preprocessor_config.json")
    return nested or next(filter(None, (_read_json(file, required=False) for file in files)), {})


def _read_text_config(path: Path, config: dict[str, Any]) -> TextConfig:
    tokenizer = _read_json(path / "tokenizer_config.json")
    generation = _read_json(path / "generation_config.json", required=False)
    greedy = generation.get("do_sample") is False
    return TextConfig(
        max_position_embeddings=read_whole_number(config["text_config"], "max_position_embeddings"),
        image_token_id=read_whole_number(config, "image_token_index", minimum=0),
        bos_token=_read_bos_token(tokenizer, config["text_config"]),
        eos_token=_token_content(tokenizer["eos_token"]),
        conv_mode=config.get("conv_mode"),
        temperature=0.0 if greedy else _number_or_one(generation.get("temperature")),
        top_p=_number_or_one(generation.get("top_p")),
        model_type=config["model_type"],
        language_model=config["text_config"]["model_type"],
        image_start_end=bool(config.get("mm_use_im_start_end")),
        add_bos_token=tokenizer.get("add_bos_token"),
        legacy=tokenizer.get("legacy"),
        special_tokens={
            name: _token_content(token)
            for name, token in tokenizer.items()
            if name.endswith("_token") and isinstance(token, str | dict)
        },
        chat_template=_read_chat_template(path, tokenizer),
        video_token_id=read_video_token_id(config),
        has_rope_scaling=_has_rope_scaling(config["text_config"]),
    )


def _read_bos_token(tokenizer: Mapping[str, Any], text_config: Mapping[str, Any]) -> str | None:
    """Return the BOS. Qwen2 has none, and transformers' generic class then leaves the key out."""
    if text_config["model_type"] == "qwen2" and "bos_token" not in tokenizer:
        return None
    token = tokenizer["bos_token"]
    return None if token is None else _token_content(token)


def _has_rope_scaling(text_config: dict[str, Any]) -> bool:
    rope = text_config.get("rope_scaling") or text_config.get("rope_parameters") or {}
    return (rope.get("rope_type") or rope.get("type") or "default") != "default"


def _read_chat_template(path: Path, tokenizer: dict[str, Any]) -> str | None:
    """Return the checkpoint's own template, from the newest file format that it has."""
    file = path / "chat_template.jinja"
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError):
        raise CheckpointError(f"{file} cannot be read") from None
    processor = _read_json(path / "chat_template.json", required=False)
    template = processor.get("chat_template", tokenizer.get("chat_template"))
    if isinstance(template, list):  # several by name, an older format of transformers
        template = {each["name"]: each["template"] for each in template}.get("default")
    if template is not None and not isinstance(template, str):
        raise CheckpointError(f"{path}: the chat template is not text")
    return template


def _number_or_one(value: float | None) -> float:
    return 1.0 if value is None else float(value)


def _token_content(token: str | dict[str, str]) -> str:
    return token if isinstance(token, str) else token["content"]


def _read_json(file: Path, *, required: bool = True) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        if not required:
            return {}
        raise CheckpointError(f"{file.parent} is not a checkpoint: no {file.name}") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{file} is not valid JSON") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} does not hold a JSON object")
    return content
