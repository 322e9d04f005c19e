"""Reads a release: its layout, the base model it needs, and its kind of language model."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from model_store.convert.json_file import Json, read_json
from model_store.convert.weights import list_weight_files
from model_store.errors import ConversionError
from model_store.released import has_mpt

PROJECTOR_FILE: Final = "mm_projector.bin"
ADAPTER_CONFIG: Final = "adapter_config.json"

LanguageModel = Literal["llama", "mistral", "qwen2"]
_ARCHITECTURES: Final[dict[str, LanguageModel]] = {
    "LlavaLlamaForCausalLM": "llama",
    "LlavaMistralForCausalLM": "mistral",
    "LlavaQwenForCausalLM": "qwen2",
    "Share4VLlamaForCausalLM": "llama",
}
# Projector-only releases carry their base model's architecture beside one of these.
_MODEL_TYPES: Final[dict[str, LanguageModel]] = {
    "llava": "llama",
    "llava_llama": "llama",
    "llava_mistral": "mistral",
    "llava_qwen": "qwen2",
    "share4v": "llama",
}


class Layout(StrEnum):
    """The form of a release's weights."""

    FULL = "a whole model"
    DELTA = "a delta"
    PROJECTOR = "a projector only"
    LORA = "a LoRA"


@dataclass(frozen=True, slots=True)
class Release:
    """A released checkpoint. `base` is the language model that all layouts but `FULL` need."""

    path: Path
    base: Path | None
    config: Json
    layout: Layout
    language_model: LanguageModel

    @property
    def language_path(self) -> Path:
        """The folder that the released code loads the tokenizer from; a delta has its own."""
        return self.path if self.base is None or self.layout is Layout.DELTA else self.base

    @property
    def names(self) -> list[str]:
        """The release's names in lowercase: its folder's, then its config's `_name_or_path`."""
        folder = self.path.resolve()
        if folder.name.startswith("checkpoint-"):
            folder = folder.parent
        config_name = str(self.config.get("_name_or_path") or "")
        return [name.lower() for name in (folder.name, Path(config_name).name) if name]


def read_release(path: Path, base: Path | None) -> Release:
    """Read the release in `path`. Raises `ConversionError` if it is not one of LLaVA's."""
    config = read_json(path / "config.json")
    language_model = _find_language_model(path, config)
    if config.get("quantization_config"):
        raise ConversionError(f"{path} is quantised; convert the release that it was made from")
    layout = _find_layout(path)
    if layout is Layout.FULL and base:
        raise ConversionError(f"{path} is {layout}: it takes no --base")
    if layout is not Layout.FULL and not base:
        raise ConversionError(f"{path} is {layout}: --base is needed{_describe_base(path, config)}")
    return Release(path, base, config, layout, language_model)


def _find_layout(path: Path) -> Layout:
    if (path / ADAPTER_CONFIG).is_file():
        return Layout.LORA
    # Full releases may hold the projector a second time, in a file of its own.
    if list_weight_files(path):
        return Layout.DELTA if "delta" in path.resolve().name.lower() else Layout.FULL
    if (path / PROJECTOR_FILE).is_file():
        return Layout.PROJECTOR
    raise ConversionError(
        f"{path} has no weights: no shards, no {PROJECTOR_FILE}, no {ADAPTER_CONFIG}"
    )


def _find_language_model(path: Path, config: Json) -> LanguageModel:
    if has_mpt(config):
        raise ConversionError(f"{path}: MPT language models are not supported")
    architecture = str((config.get("architectures") or [None])[0])
    model_type = str(config.get("model_type"))
    if architecture in _ARCHITECTURES:
        return _ARCHITECTURES[architecture]
    if re.fullmatch("(Vip)?Llava(Next|Onevision)?ForConditionalGeneration", architecture) or (
        "text_config" in config
    ):
        raise ConversionError(f"{path} has the Hugging Face layout already: serve it as it stands")
    if model_type in _MODEL_TYPES and not architecture.startswith("Llava"):
        return _MODEL_TYPES[model_type]
    raise ConversionError(
        f"{path} is a {architecture} of type {model_type!r}; supported: {', '.join(_ARCHITECTURES)}"
    )


def _describe_base(path: Path, config: Json) -> str:
    adapter = read_json(path / ADAPTER_CONFIG, required=False)
    name = adapter.get("base_model_name_or_path") or config.get("_name_or_path")
    return f", the folder of {name}" if name else ""
