"""Checks the model by its configuration, without PyTorch."""

import os
from collections.abc import Iterator
from pathlib import Path

from model_store.errors import UnknownModel
from model_store.resolve import find_stored_model, parse_hub_id
from model_store.store import list_stored_models
from server.checkpoint.adapters import read_lora_adapters
from server.checkpoint.config import Checkpoint, CheckpointError, read_checkpoint
from server.engine.problems import Problem, find_engine_problems
from server.process.defaults import expects_cpu
from server.prompt.format import CHAT_TEMPLATE, choose_prompt_format
from server.prompt.templates import TEMPLATES
from server.prompt.tokenizer import read_tokenizer
from server.settings import Settings
from server.start.mistakes import suggest


def find_model_folder(reference: str) -> Path | None:
    """Return the model's folder, None for a hub id that is to be pulled.

    Raises `UnknownModel` with the nearest name.
    """
    try:
        return find_stored_model(reference)
    except UnknownModel as error:
        if Path(reference).is_dir():
            raise UnknownModel(f"{reference} is not a checkpoint: no config.json") from None
        if parse_hub_id(reference) is not None and not Path(reference).exists():
            return None
        names = [model.name for model in list_stored_models()]
        remedy = suggest(reference, names) or "; llava-server models list shows the stored models"
        raise UnknownModel(f"{error}{remedy}") from None


def read_readable_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint's configuration. Raises `CheckpointError`, also for an unreadable file."""
    for file in sorted(folder.rglob("*")):
        if not os.access(file, os.R_OK):
            raise CheckpointError(
                f"{file} cannot be read: give user {os.geteuid()} permission to read it"
            )
    return read_checkpoint(folder)


def find_model_problems(settings: Settings, checkpoint: Checkpoint) -> Iterator[Problem]:
    """Yield settings that the model does not support."""
    yield from _find_context_problems(settings.max_model_len, checkpoint)
    if not any(find_template_problems(settings)):
        yield from _find_prompt_problems(settings, checkpoint)
    yield from _find_adapter_problems(settings, checkpoint)
    yield from find_engine_problems(settings, checkpoint, on_cpu=expects_cpu(settings))


def find_template_problems(settings: Settings) -> Iterator[Problem]:
    """Yield the problem of an unknown template name, for any model."""
    names = (CHAT_TEMPLATE, *TEMPLATES)
    conv_mode = settings.conv_mode
    if conv_mode is not None and conv_mode not in names:
        yield "conv_mode", f"must be one of {', '.join(names)}{suggest(conv_mode, names)}"


def _find_context_problems(max_model_len: int | None, checkpoint: Checkpoint) -> Iterator[Problem]:
    context = checkpoint.text.max_position_embeddings
    may_exceed = checkpoint.text.has_rope_scaling or _allows_long_context()
    if max_model_len is not None and max_model_len > context and not may_exceed:
        yield (
            "max_model_len",
            f"exceeds this model's {context}: take {context} at most, or leave it out",
        )


def _allows_long_context() -> bool:
    """Read the variable as vLLM does."""
    return os.environ.get("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "0").strip().lower() in ("1", "true")


def _find_prompt_problems(settings: Settings, checkpoint: Checkpoint) -> Iterator[Problem]:
    name = "model" if settings.conv_mode is None else "conv_mode"
    try:
        choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text, settings.conv_mode)
    except CheckpointError as error:
        yield name, str(error)


def _find_adapter_problems(settings: Settings, checkpoint: Checkpoint) -> Iterator[Problem]:
    names = settings.served_model_names or (checkpoint.path.name,)
    try:
        read_lora_adapters(settings.lora_adapters, *names)
    except CheckpointError as error:
        yield "lora_adapters", str(error)
