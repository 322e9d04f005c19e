"""What a release is: whole, or of use only with a base model; and its language model."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from model_store.convert.json_file import Json, read_json
from model_store.convert.weights import weight_files
from model_store.errors import ConversionError

PROJECTOR_FILE: Final = "mm_projector.bin"
ADAPTER_CONFIG: Final = "adapter_config.json"

LanguageModel = Literal["llama", "mistral"]
_ARCHITECTURES: Final[dict[str, LanguageModel]] = {
    "LlavaLlamaForCausalLM": "llama",
    "LlavaMistralForCausalLM": "mistral",
}
# Projector-only releases carry their base model's architecture beside one of these.
_MODEL_TYPES: Final[dict[str, LanguageModel]] = {
    "llava": "llama",
    "llava_llama": "llama",
    "llava_mistral": "mistral",
}


class Layout(StrEnum):
    """How a release holds its weights."""

    WHOLE = "a whole model"
    DELTA = "a delta"
    PROJECTOR = "a projector only"
    LORA = "a LoRA"


@dataclass(frozen=True, slots=True)
class Release:
    """A released checkpoint; `base` is the language model that all but whole ones need."""

    path: Path
    base: Path | None
    config: Json
    layout: Layout
    language_model: LanguageModel

    @property
    def language_path(self) -> Path:
        """Where the released code takes the tokenizer from; a delta brings its own."""
        return self.path if self.base is None or self.layout is Layout.DELTA else self.base

    @property
    def names(self) -> list[str]:
        """What the release is called, the folder's name first, then those its config recalls."""
        folder = self.path.resolve()
        if folder.name.startswith("checkpoint-"):
            folder = folder.parent
        recalled = str(self.config.get("_name_or_path") or "")
        return [name.lower() for name in (folder.name, Path(recalled).name) if name]


def read_release(path: Path, base: Path | None) -> Release:
    """Find out what `path` holds. Raises `ConversionError` where it is not LLaVA's release."""
    config = read_json(path / "config.json")
    language_model = _language_model(path, config)
    if config.get("quantization_config"):
        raise ConversionError(f"{path} is quantised; convert the release that it was made from")
    layout = _layout(path)
    if layout is Layout.WHOLE and base:
        raise ConversionError(f"{path} is {layout}: it takes no --base")
    if layout is not Layout.WHOLE and not base:
        raise ConversionError(f"{path} is {layout}: --base is needed{_base_name(path, config)}")
    return Release(path, base, config, layout, language_model)


def _layout(path: Path) -> Layout:
    if (path / ADAPTER_CONFIG).is_file():
        return Layout.LORA
    # Whole releases may hold the projector a second time, in a file of its own.
    if weight_files(path):
        return Layout.DELTA if "delta" in path.resolve().name.lower() else Layout.WHOLE
    if (path / PROJECTOR_FILE).is_file():
        return Layout.PROJECTOR
    raise ConversionError(
        f"{path} has no weights: no shards, no {PROJECTOR_FILE}, no {ADAPTER_CONFIG}"
    )


def _language_model(path: Path, config: Json) -> LanguageModel:
    architecture = str((config.get("architectures") or [None])[0])
    model_type = str(config.get("model_type"))
    if architecture in _ARCHITECTURES:
        return _ARCHITECTURES[architecture]
    if re.fullmatch("Llava(Next)?ForConditionalGeneration", architecture) or (
        "text_config" in config
    ):
        raise ConversionError(f"{path} has the Hugging Face layout already: serve it as it stands")
    if model_type in _MODEL_TYPES and not architecture.startswith("Llava"):
        return _MODEL_TYPES[model_type]
    raise ConversionError(
        f"{path} is a {architecture} of type {model_type!r}; "
        f"what can be converted is {' and '.join(_ARCHITECTURES)}"
    )


def _base_name(path: Path, config: Json) -> str:
    adapter = read_json(path / ADAPTER_CONFIG, required=False)
    name = adapter.get("base_model_name_or_path") or config.get("_name_or_path")
    return f", the folder of {name}" if name else ""
