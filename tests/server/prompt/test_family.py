"""Prompts of LLaVA's family equal transformers' with each checkpoint's own files, id by id."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.checkpoint.config import read_checkpoint
from server.prompt.builder import PromptBuilder
from server.prompt.chat_template import ChatTemplate
from server.prompt.format import choose_prompt_format
from server.prompt.templates import TEMPLATES
from server.prompt.tokenizer import read_tokenizer
from server.prompt.turns import split_turns
from tests.server.family import (
    FamilyCheckpoint,
    write_bakllava,
    write_llama_3_next,
    write_llava_llama_3,
    write_next_video,
    write_vip_llava,
)
from tests.server.prompt.test_templates import message

Write = Callable[..., FamilyCheckpoint]
COUNTS = [16, 5, 7]
TURNS = [
    ("user", "What is this?", 1),
    ("assistant", "A red cat.", 0),
    ("user", "And these, </s> <|eot_id|> ### too?", 2),
]


def build_prompt(written: FamilyCheckpoint, turns: list[tuple[str, str, int]]) -> list[int]:
    """Return the prompt of the server."""
    checkpoint = read_checkpoint(written.path)
    prompt_format = choose_prompt_format(read_tokenizer(written.path), checkpoint.text)
    counts = COUNTS[: sum(images for _, _, images in turns)]
    conversation = split_turns([message(*turn) for turn in turns])
    return PromptBuilder(prompt_format, 2048).build(conversation, counts).token_ids


@pytest.mark.parametrize(
    "write",
    [write_vip_llava, write_bakllava, write_llava_llama_3, write_llama_3_next, write_next_video],
)
@pytest.mark.parametrize(
    "turns",
    [TURNS[:1], [("user", "Hi", 0)], [*TURNS[:2], ("user", "And these?", 2)]],
    ids=["image", "text", "images"],
)
def test_prompts_equal_those_of_transformers(
    write: Write, turns: list[tuple[str, str, int]], tmp_path: Path
) -> None:
    written = write(tmp_path)
    counts = COUNTS[: sum(images for _, _, images in turns)]
    assert build_prompt(written, turns) == written.encode(written.render(turns), counts)


@pytest.mark.parametrize("write", [write_vip_llava, write_llava_llama_3, write_llama_3_next])
def test_names_of_tokens_in_a_question_stay_text(write: Write, tmp_path: Path) -> None:
    written = write(tmp_path)
    expected = sum(COUNTS)
    token_ids = build_prompt(written, TURNS)
    assert token_ids.count(written.image_token_id) == expected
    ends = written.tokenizer.token_to_id("<|eot_id|>")
    assert ends is None or token_ids.count(ends) == 3


def test_bakllava_without_a_template_is_prompted_as_vicuna(tmp_path: Path) -> None:
    written = write_bakllava(tmp_path)
    (tmp_path / "chat_template.json").unlink()
    token_ids = build_prompt(written, TURNS[:1])
    prompt = TEMPLATES["vicuna_v1"].system + " USER: <image>\nWhat is this? ASSISTANT:"
    assert token_ids == written.encode(prompt, COUNTS)


@pytest.mark.parametrize("write", [write_llava_llama_3, write_llama_3_next])
def test_llama_3_stops_at_the_end_of_a_turn(write: Write, tmp_path: Path) -> None:
    """Its files name another token as EOS."""
    written = write(tmp_path)
    checkpoint = read_checkpoint(written.path)
    stop = choose_prompt_format(read_tokenizer(written.path), checkpoint.text).stop
    assert checkpoint.text.eos_token == "<|end_of_text|>"
    assert (stop.strings, stop.token_ids) == ((), (written.tokenizer.token_to_id("<|eot_id|>"),))


def test_vip_llava_stops_at_the_next_question(tmp_path: Path) -> None:
    written = write_vip_llava(tmp_path)
    checkpoint = read_checkpoint(written.path)
    stop = choose_prompt_format(read_tokenizer(written.path), checkpoint.text).stop
    assert (stop.strings, stop.token_ids) == (("###Human:",), ())


@pytest.mark.parametrize(
    ("write", "file", "conv_mode"),
    [
        (write_vip_llava, "chat_template.json", "llava_v0"),
        (write_llava_llama_3, "tokenizer_config.json", "llama_3"),
        (write_llama_3_next, "chat_template.json", "llava_llama_3"),
    ],
)
def test_without_a_chat_template(write: Write, file: str, conv_mode: str, tmp_path: Path) -> None:
    """Older revisions of the checkpoints have none."""
    written = write(tmp_path)
    content: dict[str, Any] = json.loads((tmp_path / file).read_text())
    del content["chat_template"]
    (tmp_path / file).write_text(json.dumps(content))
    text = read_checkpoint(written.path).text
    template = choose_prompt_format(read_tokenizer(written.path), text).template
    assert template is TEMPLATES[conv_mode]


@pytest.mark.parametrize(
    ("after", "stop"),
    [
        ("<|im_end|>\n", "<|im_end|>"),
        (" </s>", "</s>"),
        ("\n###Human: ", "###Human:"),
        (" USER: ", None),
        ("", None),
    ],
)
def test_what_ends_a_turn_of_a_chat_template(after: str, stop: str | None) -> None:
    source = (
        "{% for m in messages %}{{ m.content }}"
        f"{{% if m.role == 'assistant' %}}{{{{ {after!r} }}}}{{% else %}}: {{% endif %}}"
        "{% endfor %}"
    )
    assert ChatTemplate(source, {}, "<image>").stop == stop
