"""Takes a served LLaVA apart, so that its training can go on."""

import fcntl
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoConfig

from llava_spec.projector import ProjectorConfig
from server.checkpoint.config import Checkpoint, CheckpointError, read_checkpoint
from server.checkpoint.defaults import fill_defaults
from server.prompt.format import choose_conv_mode
from server.prompt.tokenizer import PromptTokenizer, read_tokenizer
from training.tuning.architecture import LANGUAGE_MODELS
from training.tuning.sources import (
    LANGUAGE_MODEL_FILES,
    TOWER_FILES,
    SourceError,
    Sources,
    copy_files,
)

# In the folder of the parts: the checkpoint's folder.
ORIGIN_FILE: Final = "origin.txt"
PROJECTOR_PART: Final = "mm_projector.safetensors"
# transformers 4 wrote `language_model.model.…`, transformers 5 `model.language_model.…`.
_RENAMED: Final = (
    (
        re.compile(r"^(?:model\.)?vision_tower\.(?:vision_model\.)?"),
        "vision_tower",
        "vision_model.",
    ),
    (re.compile(r"^(?:model\.)?multi_modal_projector\."), "projector", ""),
    (re.compile(r"^(?:model\.)?(?=image_newline$)"), "projector", ""),
    (re.compile(r"^model\.language_model\."), "language_model", "model."),
    (re.compile(r"^language_model\."), "language_model", ""),
    (re.compile(r"^(?=lm_head\.)"), "language_model", ""),
)


def split_checkpoint(folder: Path, out: Path) -> Sources:
    """Write the configurations of a checkpoint's parts below `out`, unless they are there.

    That takes no time; `write_weights` adds what training reads later. Raises `SourceError` for a
    checkpoint that cannot be trained, and where `out` is of another.
    """
    checkpoint = _read_trainable(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    with _stage(out, folder) as staging:
        if not out.exists():
            _write_configs(checkpoint, staging)
            staging.rename(out)
    origin = (out / ORIGIN_FILE).read_text()
    if origin != str(folder.resolve()):
        raise SourceError(f"{out} holds the parts of {origin}: remove it, or choose another --work")
    vision, pinpoints = checkpoint.vision, checkpoint.image.grid_pinpoints
    num_layers: int = _read_config(folder)["vision_config"]["num_hidden_layers"]
    return Sources(
        out / "vision_tower",
        out / "language_model",
        _name_type(vision.projector),
        out / PROJECTOR_PART,
        vision.num_layers - num_layers - 1,
        checkpoint.image.aspect_ratio,
        str(list(pinpoints)) if pinpoints else None,
        vision.patch_merge if pinpoints else None,
        _choose_conv_mode(checkpoint),
    )


def write_weights(sources: Sources) -> None:
    """Write the weights of a checkpoint's parts beside their configurations, unless they are there.

    Nothing is done for sources that are not the parts of one. A shard is in memory at a time.
    Processes that do it at once wait for the first. Raises `SourceError`.
    """
    out = sources.vision_tower.parent
    if not (out / ORIGIN_FILE).is_file():
        return
    folder = Path((out / ORIGIN_FILE).read_text())
    with _stage(out, folder) as staging:
        if not (out / PROJECTOR_PART).exists():
            _write_weights(_read_trainable(folder), staging)
            # The projector comes last: with it all are there.
            for file in (*staging.glob("*/*"), staging / PROJECTOR_PART):
                file.rename(out / file.relative_to(staging))


@contextmanager
def _stage(out: Path, folder: Path) -> Iterator[Path]:
    """Yield a new folder beside `out` to one process at a time, and remove what is left of it."""
    with out.with_name(f".{out.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        staging = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
        try:
            yield staging
        except (OSError, SafetensorError) as error:
            raise SourceError(f"{folder} cannot be taken apart: {error}") from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _read_trainable(folder: Path) -> Checkpoint:
    """Read a checkpoint's configuration. Raises `SourceError` where training lacks a part."""
    try:
        checkpoint = read_checkpoint(folder)
    except CheckpointError as error:
        raise SourceError(str(error)) from None
    vision, language = checkpoint.vision, checkpoint.text.language_model
    reasons = {
        "its tower is not CLIP": vision.tower != "clip",
        "its tower's class token is used": vision.keep_class_token,
        "it uses several hidden states of its tower": len(vision.feature_layers) > 1,
        "its tower sees an image at several sizes": bool(vision.s2_scales),
        "its projector has no biases": not vision.projector_bias,
        "its projector has a layer norm": vision.projector_layernorm_eps is not None,
        f"its projector's activation is {vision.projector_hidden_act}": (
            vision.projector_hidden_act != "gelu" and vision.projector.num_layers > 1
        ),
        "its tiles have a limit (anyres_max_N)": checkpoint.image.max_views is not None,
        "it is quantised": checkpoint.language_model.quantization is not None,
        f"its language model is of type {language}": language not in LANGUAGE_MODELS,
        "it has an adapter that is not merged: train with --merge-lora": (
            (folder / "adapter" / "adapter_config.json").is_file()
        ),
    }
    for reason, applies in reasons.items():
        if applies:
            raise SourceError(f"{folder} cannot be trained: {reason}")
    return checkpoint


def _choose_conv_mode(checkpoint: Checkpoint) -> str | None:
    """Return the template of a checkpoint; that of captions is not one of conversations."""
    tokenizer = PromptTokenizer(read_tokenizer(checkpoint.path), checkpoint.text)
    conv_mode = choose_conv_mode(checkpoint.text, tokenizer)
    return None if conv_mode == "plain" else conv_mode


def _read_config(folder: Path) -> dict[str, Any]:
    return fill_defaults(json.loads((folder / "config.json").read_text()))


def _name_type(projector: ProjectorConfig) -> str:
    return f"mlp{projector.num_layers}x_gelu" if projector.kind == "mlp" else projector.kind


def _write_configs(checkpoint: Checkpoint, out: Path) -> None:
    folder, config = checkpoint.path, _read_config(checkpoint.path)
    text = AutoConfig.for_model(**config["text_config"])
    text.save_pretrained(out / "language_model")
    AutoConfig.for_model(**config["vision_config"]).save_pretrained(out / "vision_tower")
    copy_files(folder, out / "language_model", LANGUAGE_MODEL_FILES)
    copy_files(folder, out / "vision_tower", TOWER_FILES)
    (out / ORIGIN_FILE).write_text(str(folder.resolve()))


def _write_weights(checkpoint: Checkpoint, out: Path) -> None:
    index: dict[str, str] = {}
    others: dict[str, dict[str, Tensor]] = {"vision_tower": {}, "projector": {}}
    for part in ("language_model", "vision_tower"):
        (out / part).mkdir()
    shards = sorted(checkpoint.path.glob("*.safetensors"))
    if not shards:
        raise SourceError(f"{checkpoint.path} has no safetensors")
    for shard in shards:
        parts = _read_parts(shard)
        language = parts.pop("language_model", {})
        if language:
            save_file(language, out / "language_model" / shard.name, {"format": "pt"})
            index |= dict.fromkeys(language, shard.name)
        for part, weights in parts.items():
            others[part] |= weights
    content = {"metadata": {}, "weight_map": index}
    (out / "language_model" / "model.safetensors.index.json").write_text(json.dumps(content))
    save_file(others["vision_tower"], out / "vision_tower" / "model.safetensors", {"format": "pt"})
    projector = _name_released(others["projector"], checkpoint.vision.projector)
    save_file(projector, out / PROJECTOR_PART)


def _read_parts(shard: Path) -> dict[str, dict[str, Tensor]]:
    """Return a shard's weights by part, with the names that they have in a model of their own."""
    parts: dict[str, dict[str, Tensor]] = {}
    with safe_open(shard, "pt") as file:
        for name in file.keys():  # noqa: SIM118 - a file is no mapping
            for pattern, part, prefix in _RENAMED:
                if pattern.search(name):
                    renamed = pattern.sub(prefix, name)
                    parts.setdefault(part, {})[renamed] = file.get_tensor(name)
                    break
            else:
                raise SourceError(
                    f"{shard}: {name} belongs to no part of a LLaVA: without it the model would be"
                    " another one"
                )
    return parts


def _name_released(weights: Mapping[str, Tensor], projector: ProjectorConfig) -> dict[str, Tensor]:
    """Return a projector's weights by the released modules' names, and `image_newline`.

    Raises `SourceError` where one is missing.
    """
    missing = [
        name
        for layer in range(projector.num_layers)
        for kind in ("weight", "bias")
        if (name := f"linear_{layer + 1}.{kind}") not in weights
    ]
    if missing:
        raise SourceError(f"the checkpoint lacks weights of the projector: {missing[0]}")
    newline = {name: each for name, each in weights.items() if name == "image_newline"}
    return newline | {
        f"{projector.module_name(layer)}.{kind}": weights[f"linear_{layer + 1}.{kind}"]
        for layer in range(projector.num_layers)
        for kind in ("weight", "bias")
    }
