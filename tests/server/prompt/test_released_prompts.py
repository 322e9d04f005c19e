"""Whole conversations have the ids that the released code trained with: tests/parity/README.md."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_store.convert.tokenizer import read_tokenizer
from server.checkpoint.config import TextConfig
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.templates import TEMPLATES
from server.prompt.turns import split_turns
from server.protocol.chat.messages import Message
from server.protocol.chat.template_fields import TemplateFields
from tests.server.prompt.test_templates import message

LABELS = Path(__file__).parents[2] / "parity" / "labels"
RECORDS = {each["id"]: each for each in json.loads((LABELS / "records.json").read_text())}
# The released `--version`, where our name is another.
CONV_MODES = {"v1": "vicuna_v1"}
IMAGE = -200
# Prompted with as they were trained; the others are compared with the training's prompts only.
VERSIONS = ("plain", "v1", "llava_v1", "v1_mmtag", "llama_2", "llava_llama_2", "mistral_instruct")
# Special tokens in a record's text, which the released code parses, and text in their place.
SPECIAL = {
    *("eos-in-answer", "bos-in-question", "unk-in-answer", "unk-in-question-image"),
    *("image-tag-in-answer", "tag-without-image-file"),
}
# Turns without text, or before the first question.
EMPTY = {
    *("answer-empty", "answer-empty-image", "plain-caption-empty", "question-empty"),
    *("question-empty-later", "begins-with-gpt"),
}
# A picture alone: the released trainer drops the newline behind it, its `get_prompt` does not.
ALONE = {"image-alone", "plain-caption", "plain-caption-spaces", "plain-caption-unicode"}


def find_cases() -> Iterator[Any]:
    """Yield the file of each template and tokenizer, with each of its cases."""
    for path in sorted(LABELS.glob("*.json.gz")):
        file = json.loads(gzip.decompress(path.read_bytes()))
        is_llama = file["tokenizer"].startswith("llama")
        if file["version"] not in VERSIONS or not is_llama or ".max" in path.name:
            continue
        others = SPECIAL | EMPTY | ALONE if file["version"] != "plain" else SPECIAL
        for case in file["cases"]:
            if "error" not in case and case["id"] not in others:
                yield pytest.param(file, case, id=f"{path.name[:-8]}-{case['id']}")


def build_messages(record: dict[str, Any]) -> list[Message]:
    """Return a record's messages. The picture comes first in its turn, and once."""
    messages = []
    for turn in record["conversations"]:
        text = turn["value"]
        has_image = "image" in record and "<image>" in text
        text = text.replace("<image>", "").strip() if has_image else text
        role = {"human": "user", "gpt": "assistant"}[turn["from"]]
        messages.append(message(role, text, int(has_image)))
    return messages


def build_builder(file: dict[str, Any]) -> tuple[PromptBuilder, int]:
    """Return the builder of a checkpoint converted with this tokenizer, and the image token."""
    start_end = file["mm_use_im_start_end"]
    config = {"mm_use_im_patch_token": start_end, "mm_use_im_start_end": start_end}
    released = read_tokenizer(LABELS / "tokenizers" / Path(file["tokenizer"]).name, config)
    image = released.token_id("<image>")
    conv_mode = CONV_MODES.get(file["version"], file["version"])
    text = TextConfig(4096, image, released.bos_token, released.eos_token, conv_mode, 0.0, 1.0)
    text = replace(text, image_start_end=start_end, add_bos_token=released.add_bos_token)
    return PromptBuilder(choose_prompt_format(released.tokenizer, text), 4096), image


@pytest.mark.parametrize(("file", "case"), list(find_cases()))
def test_ids_equal_the_released_trainers(file: dict[str, Any], case: dict[str, Any]) -> None:
    builder, image = build_builder(file)
    messages = build_messages(RECORDS[case["id"]])
    conversation = split_turns(messages, TemplateFields(add_generation_prompt=False))
    num_images = sum(len(each.images) for each in messages)
    ids = builder.build(conversation, [1] * num_images).token_ids
    assert [IMAGE if each == image else each for each in ids] == case["input_ids"]


def test_a_plain_prompt_is_the_picture_alone() -> None:
    """Its caption follows: what the user says about the picture is left out, as in training."""
    file = json.loads(gzip.decompress((LABELS / "plain.llama.json.gz").read_bytes()))
    builder, image = build_builder(file)
    starts: list[list[Message]] = [[], [message("system", "")]]
    for start in starts:
        asked = builder.build(split_turns([*start, message("user", "What is it?", 1)]), [1])
        assert asked.token_ids == [1, image]


def test_the_system_text_of_v0_mmtag() -> None:
    """The form of `get_prompt` differs from the trainer's after the system text."""
    file = json.loads(gzip.decompress((LABELS / "v0_mmtag.llama.json.gz").read_bytes()))
    builder, _ = build_builder(file)
    system = builder.tokenize(TEMPLATES["v0_mmtag"].system)
    case = next(each for each in file["cases"] if each["id"] == "text-one-turn")
    assert case["input_ids"][: len(system)] == system
