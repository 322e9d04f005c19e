"""Which template a checkpoint gets, and what its files say about prompts."""

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


def chosen(tokenizer: Tokenizer, text: TextConfig, conv_mode: str | None = None) -> str:
    """Return the name of the template that is used."""
    template = choose_prompt_format(tokenizer, text, conv_mode).template
    if isinstance(template, ChatTemplate):
        return "chat_template"
    rendered = list(template.render(None, QUESTION))
    named = {name: list(each.render(None, QUESTION)) for name, each in TEMPLATES.items()}
    return next(name for name, segments in named.items() if segments == rendered)


@pytest.fixture
def text(checkpoint: Checkpoint) -> TextConfig:
    """Return the embedded model's text side, as if it named no template and had none."""
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
def test_chosen_from_the_checkpoint(
    changes: dict[str, Any],
    added: str | None,
    conv_mode: str,
    text: TextConfig,
    tokenizer: Tokenizer,
) -> None:
    if added:
        tokenizer.add_tokens([added])  # as Yi's is: added, but not called special
    assert chosen(tokenizer, replace(text, **changes)) == conv_mode


def test_a_language_model_of_another_family_brings_its_own_template(text: TextConfig) -> None:
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
    assert chosen(tokenizer, text) == "chat_template"
    assert chosen(tokenizer, replace(text, chat_template=None)) == "vicuna_v1"


@pytest.mark.parametrize("conv_mode", [*TEMPLATES, "chat_template"])
def test_the_setting_wins(conv_mode: str, text: TextConfig, tokenizer: Tokenizer) -> None:
    named = replace(text, conv_mode="llava_v0", chat_template=OWN)
    assert chosen(tokenizer, named, conv_mode) == conv_mode


@pytest.mark.parametrize("setting", [True, False])
def test_unknown_templates_are_refused_with_the_known(
    setting: bool, text: TextConfig, tokenizer: Tokenizer
) -> None:
    text = text if setting else replace(text, conv_mode="vicuna_v9")
    with pytest.raises(CheckpointError, match=r"'vicuna_v9' is none of vicuna_v1, .*chat_template"):
        choose_prompt_format(tokenizer, text, "vicuna_v9" if setting else None)


def test_a_missing_chat_template_is_told(text: TextConfig, tokenizer: Tokenizer) -> None:
    with pytest.raises(CheckpointError, match="no chat template of its own"):
        choose_prompt_format(tokenizer, text, "chat_template")


@pytest.fixture
def folder(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """Return a copy of the embedded model's JSON files."""
    for file in checkpoint.path.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def change(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_what_a_checkpoint_says_about_prompts(folder: Path) -> None:
    change(folder / "config.json", mm_use_im_start_end=True, conv_mode="llava_v1")
    change(
        folder / "tokenizer_config.json",
        legacy=False,
        add_bos_token=False,
        bos_token=None,
        pad_token={"content": "<p>"},
    )
    text = read_checkpoint(folder).text
    assert (text.image_start_end, text.legacy, text.add_bos_token) == (True, False, False)
    assert (text.bos_token, text.conv_mode, text.language_model) == (None, "llava_v1", "llama")
    tokens = {
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<p>",
        "image_token": "<image>",
    }
    assert text.special_tokens == tokens


def test_where_a_chat_template_may_be(folder: Path) -> None:
    assert read_checkpoint(folder).text.chat_template is None
    named = [{"name": "rag", "template": "a"}, {"name": "default", "template": "b"}]
    change(folder / "tokenizer_config.json", chat_template=named)
    assert read_checkpoint(folder).text.chat_template == "b"
    change(folder / "tokenizer_config.json", chat_template="c")
    assert read_checkpoint(folder).text.chat_template == "c"
    (folder / "chat_template.json").write_text('{"chat_template": "d"}')
    assert read_checkpoint(folder).text.chat_template == "d"
    (folder / "chat_template.jinja").write_text("{{ 'é' }}", encoding="utf-8")
    assert read_checkpoint(folder).text.chat_template == "{{ 'é' }}"


@pytest.mark.parametrize("template", [7, {"default": "a"}, [{"name": "default"}], ["a"]])
def test_a_chat_template_that_is_none_is_told(template: Any, folder: Path) -> None:
    change(folder / "tokenizer_config.json", chat_template=template)
    with pytest.raises(CheckpointError, match=str(folder)):
        read_checkpoint(folder)


def test_an_unreadable_chat_template_is_told(folder: Path) -> None:
    (folder / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match=r"chat_template\.jinja cannot be read"):
        read_checkpoint(folder)
