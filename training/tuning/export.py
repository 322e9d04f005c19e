"""Writes a trained model in the layout that the server reads."""

import json
from pathlib import Path
from typing import Any, Final

from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from model_store.convert.conversion import plan_conversion, write_conversion
from training.tuning.model import LlavaForTraining
from training.tuning.sources import (
    LANGUAGE_MODEL_FILES,
    PROJECTOR_FILE,
    TOWER_FILES,
    Sources,
    copy_files,
)

_ARCHITECTURES: Final = {
    "llama": "LlavaLlamaForCausalLM",
    "mistral": "LlavaMistralForCausalLM",
    "qwen2": "LlavaQwenForCausalLM",
}


def export(
    model: LlavaForTraining,
    language_model: PreTrainedModel,
    sources: Sources,
    conv_mode: str,
    dtype: str,
    out: Path,
) -> None:
    """Write the checkpoint to `out`, which must not exist, with its projector in a file, too.

    It is first written beside `out` in the released layout, which `convert` then turns into the
    server's. Raises `ConversionError`.
    """
    release, tower = out.with_name("release"), sources.vision_tower
    if model.is_tower_trained:
        tower = out.with_name("tower")
        _write_tower(model, sources.vision_tower, tower)
    _write_release(model, language_model, sources, release)
    write_conversion(plan_conversion(release, tower, None, conv_mode, dtype), out)
    (out / PROJECTOR_FILE).parent.mkdir()
    save_file(_collect_projector(model, ""), out / PROJECTOR_FILE)


def export_adapter(adapter: Any, folder: Path) -> None:
    """Write an adapter with the names that the served checkpoint gives the language model."""
    adapter.save_pretrained(folder)
    file = folder / "adapter_model.safetensors"
    old, new = "base_model.model.", "base_model.model.language_model."
    save_file({name.replace(old, new, 1): each for name, each in load_file(file).items()}, file)


def _write_release(
    model: LlavaForTraining, language_model: PreTrainedModel, sources: Sources, folder: Path
) -> None:
    folder.mkdir()
    config: dict[str, Any] = json.loads((sources.language_model / "config.json").read_text())
    config |= {
        "architectures": [_ARCHITECTURES[language_model.config.model_type]],
        "model_type": "llava",
        "mm_vision_tower": str(sources.vision_tower),
        "mm_projector_type": sources.projector_type,
        "mm_hidden_size": model.vision_tower.config.hidden_size,
        "mm_vision_select_layer": sources.feature_layer,
        "mm_vision_select_feature": "patch",
        "image_aspect_ratio": sources.image_aspect_ratio,
    }
    if model.tiles is not None:
        config["mm_patch_merge_type"] = model.tiles.vision.patch_merge
        config["image_grid_pinpoints"] = model.tiles.image.grid_pinpoints
    (folder / "config.json").write_text(json.dumps(config))
    copy_files(sources.language_model, folder, LANGUAGE_MODEL_FILES)
    weights = {name: each.contiguous() for name, each in language_model.state_dict().items()}
    if language_model.config.tie_word_embeddings:
        del weights["lm_head.weight"]
    save_file(weights | _collect_projector(model, "model."), folder / "model.safetensors")


def _write_tower(model: LlavaForTraining, source: Path, folder: Path) -> None:
    model.vision_tower.save_pretrained(folder)
    copy_files(source, folder, TOWER_FILES)


def _collect_projector(model: LlavaForTraining, prefix: str) -> dict[str, Tensor]:
    """Return the projector's weights, and the newline that follows rows of patches."""
    state = model.projector.state_dict()
    weights = {f"{prefix}mm_projector.{name}": each for name, each in state.items()}
    if model.image_newline is not None:
        weights[f"{prefix}image_newline"] = model.image_newline
    return {name: each.detach().cpu().contiguous() for name, each in weights.items()}
