"""Which conversation template is trained, and whether the tokenizer knows its marks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from model_store.convert.conversation import CONV_MODES
from server.prompt.format import CHAT_TEMPLATE
from server.prompt.segments import TemplateText
from server.prompt.turns import Turn
from training.tuning.architecture import read_config
from training.tuning.errors import OptionError
from training.tuning.prompts import choose_render
from training.tuning.settings import TrainSettings
from training.tuning.sources import load_tokenizer

# The templates that language models are trained in where none is asked for.
DEFAULT_CONV_MODES: Final = {
    "llama": "vicuna_v1",
    "mistral": "mistral_instruct",
    "qwen2": "qwen_1_5",
}
# Marks that a tokenizer must know as tokens. Others, such as `[INST]`, are text to it.
_MARK: Final = re.compile(r"<\|[^|<>]+\|>")


def choose_conv_mode(settings: TrainSettings) -> str:
    """Return the template of a run: what is asked for, else the source's own, else by the model.

    Raises `OptionError`, `SourceError`.
    """
    folder = settings.sources.language_model
    conv_mode = settings.conv_mode or settings.sources.conv_mode or _choose_default(folder)
    if settings.conv_mode is None and conv_mode == CHAT_TEMPLATE:
        raise OptionError(
            "--model has a chat template of its own, which cannot be trained: choose a --conv-mode"
            f" from {', '.join(CONV_MODES)}"
        )
    if conv_mode not in CONV_MODES:
        raise OptionError(
            f"--conv-mode {conv_mode!r} cannot be trained; supported: {', '.join(CONV_MODES)}"
        )
    _check_marks(conv_mode, folder)
    return conv_mode


def _choose_default(folder: Path) -> str:
    return DEFAULT_CONV_MODES.get(read_config(folder, "a language model").model_type, "vicuna_v1")


def _check_marks(conv_mode: str, folder: Path) -> None:
    """Raise `OptionError` where marks of the template would be text of several tokens."""
    marks = set(_list_marks(conv_mode))
    if not marks:
        return
    _, tokenizer = load_tokenizer(folder)
    num_embeddings = read_config(folder, "a language model").vocab_size
    ids = {mark: tokenizer.token_to_id(mark) for mark in marks}
    missing = sorted(mark for mark, i in ids.items() if i is None or i >= num_embeddings)
    if missing:
        raise OptionError(
            f"--conv-mode {conv_mode} needs the tokens {', '.join(missing)}, which {folder} lacks:"
            " choose another template"
        )


def _list_marks(conv_mode: str) -> Iterator[str]:
    turns = [Turn("user", "question", 0), Turn("assistant", "answer", 0)]
    for segment in choose_render(conv_mode, image_start_end=False)("system", turns):
        if isinstance(segment, TemplateText):
            yield from _MARK.findall(segment.text)
