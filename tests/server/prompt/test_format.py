"""The choice of a checkpoint's template, and the prompt settings in its files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from server.checkpoint.config import Checkpoint, CheckpointError, TextConfig, read_checkpoint
from server.prompt.chat_template import ChatTemplate
from server.prompt.format import choose_prompt_format
from server.prompt.templates import TEMPLATES
from server.prompt.turns import Turn

OWN = "{% for m in messages %}{{ m['content'] }}{% endfor %} own"
QUESTION = [Turn("user", "Hi", 0)]


def choose_template_name(
    tokenizer: Tokenizer, text: TextConfig, conv_mode: str | None = None
) -> str:
    """Return the name of the chosen template."""
    template = choose_prompt_format(tokenizer, text, conv_mode).template
    if isinstance(template, ChatTemplate):
        return "chat_template"
    rendered = list(template.render(None, QUESTION))
    named = {name: list(each.render(None, QUESTION)) for name, each in TEMPLATES.items()}
    return next(name for name, segments in named.items() if segments == rendered)


@pytest.fixture
def text(checkpoint: Checkpoint) -> TextConfig:
    """Return the embedded model's text config without a template."""
    return replace(checkpoint.text, conv_mode=None, chat_template=None)


@pytest.mark.parametrize(
    ("changes", "added", "conv_mode"),
    [
        ({}, None, "vicuna_v1"),
        ({"chat_template": OWN}, None, "vicuna_v1"),
        ({"language_model": "mistral"}, None, "vicuna_v1"),
        ({"model_type": "llava_next"}, None, "vicuna_v1"),
        ({"model_type": "llava_next", "language_model": "mistral"}, None, "mistral_instruct"),
        ({"model_type": "llava_next"}, "<|im_start|>", "chatml_direct"),
        ({"model_type": "llava_next", "conv_mode": "llava_v0"}, "<|im_start|>", "llava_v0"),
        ({"conv_mode": "chat_template", "chat_template": OWN}, None, "chat_template"),
    ],
)
def test_the_template_is_inferred_from_the_checkpoint(
    changes: dict[str, Any],
    added: str | None,
    conv_mode: str,
    text: TextConfig,
    tokenizer: Tokenizer,
) -> None:
    if added:
        tokenizer.add_tokens([added])  # like Yi's: added, but not marked as special
    assert choose_template_name(tokenizer, replace(text, **changes)) == conv_mode


def test_another_language_model_uses_its_own_chat_template(text: TextConfig) -> None:
    tokenizer = Tokenizer.from_str(
        json.dumps(
            {
                "version": "1.0",
                "added_tokens": [],
                "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"},
            }
        )
    )
    text = replace(text, bos_token=None, eos_token="<|eot_id|>", chat_template=OWN)
    assert choose_template_name(tokenizer, text) == "chat_template"
    assert choose_template_name(tokenizer, replace(text, chat_template=None)) == "vicuna_v1"


# `default` is another name of v0.
@pytest.mark.parametrize("conv_mode", sorted({*TEMPLATES, "chat_template"} - {"default"}))
def test_the_setting_takes_precedence(
    conv_mode: str, text: TextConfig, tokenizer: Tokenizer
) -> None:
    named = replace(text, conv_mode="llava_v0", chat_template=OWN)
    assert choose_template_name(tokenizer, named, conv_mode) == conv_mode


@pytest.mark.parametrize("is_setting", [True, False])
def test_the_error_of_an_unknown_template_lists_the_known_ones(
    is_setting: bool, text: TextConfig, tokenizer: Tokenizer
) -> None:
    text = text if is_setting else replace(text, conv_mode="vicuna_v9")
    with pytest.raises(
        CheckpointError, match=r"'vicuna_v9' is not one of vicuna_v1, .*chat_template"
    ):
        choose_prompt_format(tokenizer, text, "vicuna_v9" if is_setting else None)


def test_a_missing_chat_template_is_an_error(text: TextConfig, tokenizer: Tokenizer) -> None:
    with pytest.raises(CheckpointError, match="no chat template of its own"):
        choose_prompt_format(tokenizer, text, "chat_template")


@pytest.fixture
def checkpoint_path(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """Return a copy of the embedded model's JSON files."""
    for file in checkpoint.path.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def update_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_prompt_settings_of_a_checkpoint(checkpoint_path: Path) -> None:
    update_json(checkpoint_path / "config.json", mm_use_im_start_end=True, conv_mode="llava_v1")
    update_json(
        checkpoint_path / "tokenizer_config.json",
        legacy=False,
        add_bos_token=False,
        bos_token=None,
        pad_token={"content": "<p>"},
    )
    text = read_checkpoint(checkpoint_path).text
    assert (text.image_start_end, text.legacy, text.add_bos_token) == (True, False, False)
    assert (text.bos_token, text.conv_mode, text.language_model) == (None, "llava_v1", "llama")
    tokens = {
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<p>",
        "image_token": "<image>",
    }
    assert text.special_tokens == tokens


def test_files_that_may_contain_the_chat_template(checkpoint_path: Path) -> None:
    assert read_checkpoint(checkpoint_path).text.chat_template is None
    named = [{"name": "rag", "template": "a"}, {"name": "default", "template": "b"}]
    update_json(checkpoint_path / "tokenizer_config.json", chat_template=named)
    assert read_checkpoint(checkpoint_path).text.chat_template == "b"
    update_json(checkpoint_path / "tokenizer_config.json", chat_template="c")
    assert read_checkpoint(checkpoint_path).text.chat_template == "c"
    (checkpoint_path / "chat_template.json").write_text('{"chat_template": "d"}')
    assert read_checkpoint(checkpoint_path).text.chat_template == "d"
    (checkpoint_path / "chat_template.jinja").write_text("{{ 'é' }}", encoding="utf-8")
    assert read_checkpoint(checkpoint_path).text.chat_template == "{{ 'é' }}"


@pytest.mark.parametrize("template", [7, {"default": "a"}, [{"name": "default"}], ["a"]])
def test_an_invalid_chat_template_is_an_error(template: Any, checkpoint_path: Path) -> None:
    update_json(checkpoint_path / "tokenizer_config.json", chat_template=template)
    with pytest.raises(CheckpointError, match=str(checkpoint_path)):
        read_checkpoint(checkpoint_path)


def test_an_unreadable_chat_template_is_an_error(checkpoint_path: Path) -> None:
    (checkpoint_path / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match=r"chat_template\.jinja cannot be read"):
        read_checkpoint(checkpoint_path)
