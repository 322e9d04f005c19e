"""Checkpoints of published shapes with random weights, here in small sizes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from benchmarks import random_checkpoint
from benchmarks.random_checkpoint import build_tokenizer, write_files, write_once
from benchmarks.requests import (
    RequestOptions,
    build_body,
    build_image_part,
    build_question,
    build_user_message,
)
from benchmarks.shapes.llava_1_5 import LLAVA_15_7B, LLAVA_15_13B, LLAVA_15_SMALL
from benchmarks.shapes.llava_1_6 import LLAVA_16_7B
from benchmarks.shapes.qwen import INTERLEAVE_05B, ONEVISION_05B
from benchmarks.shapes.registry import SHAPES
from benchmarks.shapes.shape import Shape
from benchmarks.suites import SUITES
from server.checkpoint.config import read_checkpoint
from server.images.vision.image_tokens import count_image_tokens
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from server.prompt.turns import split_turns
from server.protocol.chat.request import parse_chat_request
from tests.server.checkpoint.checkpoint_files import LLAVA_1_5, LLAVA_1_6
from tests.server.checkpoint.test_siglip_family import INTERLEAVE, ONEVISION

SMALL_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "vocab_size": 640,
}
SMALL_VISION = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
}
NUM_TEXT_IDS = 600


def shrink(shape: Shape) -> Shape:
    """Return the shape with few small layers and a small vocabulary."""
    specials = {token: NUM_TEXT_IDS + number for number, token in enumerate(shape.special_tokens)}
    config: dict[str, Any] = shape.config | {
        "image_token_index": specials["<image>"],
        "text_config": shape.config["text_config"] | SMALL_TEXT,
        "vision_config": shape.config["vision_config"] | SMALL_VISION,
    }
    text_ids = range(min(shape.text_ids.start, 256), NUM_TEXT_IDS)
    return replace(shape, special_tokens=specials, text_ids=text_ids, config=config)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small checkpoint of LLaVA-OneVision's shape."""
    folder = tmp_path_factory.mktemp("shapes")
    return write_once(shrink(ONEVISION_05B), folder, torch.bfloat16)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    index = json.loads((path / "model.safetensors.index.json").read_text())["weight_map"]
    weights: dict[str, torch.Tensor] = {}
    for file in set(index.values()):
        weights |= load_file(path / file)
    assert set(weights) == set(index)
    return weights


def count_parameters(shape: Shape, folder: Path) -> int:
    (folder / "config.json").write_text(json.dumps(shape.config))
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder))
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_configuration_is_the_published_one() -> None:
    assert ONEVISION_05B.config == ONEVISION
    assert INTERLEAVE_05B.config == INTERLEAVE
    assert LLAVA_15_7B.config == LLAVA_1_5
    assert LLAVA_16_7B.config == LLAVA_1_6
    assert {name: shape.name for name, shape in SHAPES.items()} == {name: name for name in SHAPES}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_each_shape_is_a_model_that_transformers_knows(shape: Shape, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(shape.config))
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(tmp_path))
    assert model.config.text_config.vocab_size > max(shape.special_tokens.values())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_transformers_loads_it(shape: Shape, tmp_path: Path) -> None:
    checkpoint = write_once(shrink(shape), tmp_path, torch.bfloat16)
    model, found = AutoModelForImageTextToText.from_pretrained(checkpoint, output_loading_info=True)
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert model.dtype == torch.bfloat16
    assert AutoProcessor.from_pretrained(checkpoint).image_token == "<image>"


def test_the_server_reads_it(checkpoint: Path) -> None:
    read = read_checkpoint(checkpoint)
    assert (read.dtype, read.vision.tower) == ("bfloat16", "siglip")
    prompts = choose_prompt_format(read_tokenizer(checkpoint), read.text, None)
    assert prompts.template is not None


def test_weights_have_their_published_names(checkpoint: Path) -> None:
    weights = read_weights(checkpoint)
    assert "vision_tower.vision_model.embeddings.patch_embedding.weight" in weights
    assert "language_model.model.embed_tokens.weight" in weights
    assert "multi_modal_projector.linear_2.bias" in weights
    assert "image_newline" in weights
    assert "language_model.lm_head.weight" not in weights  # tied


def test_large_ones_are_in_several_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path
) -> None:
    monkeypatch.setattr(random_checkpoint, "SHARD_BYTES", 100_000)
    path = write_once(shrink(ONEVISION_05B), tmp_path, torch.bfloat16)
    assert len(list(path.glob("*.safetensors"))) > 2
    first, second = read_weights(path), read_weights(checkpoint)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)  # seeded


def test_it_is_written_once(checkpoint: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in checkpoint.iterdir()}
    assert write_once(shrink(ONEVISION_05B), checkpoint.parent, torch.bfloat16) == checkpoint
    assert times == {path: path.stat().st_mtime_ns for path in checkpoint.iterdir()}


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        (LLAVA_15_7B, 7_063_427_072),
        (LLAVA_15_13B, 13_351_494_656),
        (LLAVA_16_7B, 7_566_747_648),
    ],
    ids=lambda value: value.name if isinstance(value, Shape) else None,
)
def test_large_ones_have_as_many_parameters_as_published(
    shape: Shape, parameters: int, tmp_path: Path
) -> None:
    assert count_parameters(shape, tmp_path) == parameters


@pytest.mark.parametrize(
    ("shape", "begin", "image_tokens"),
    [
        (LLAVA_15_7B, "A chat between a curious user and an artificial", 576),
        (LLAVA_15_13B, "A chat between a curious user and an artificial", 576),
        (LLAVA_15_SMALL, "A chat between a curious user and an artificial", 576),
        (LLAVA_16_7B, "[INST]", 2928),
    ],
    ids=lambda value: value.name if isinstance(value, Shape) else None,
)
def test_the_server_reads_llavas_and_prompts_as_they_were_trained(
    shape: Shape, begin: str, image_tokens: int, tmp_path: Path
) -> None:
    write_files(shape, tmp_path / "files", torch.bfloat16)
    read = read_checkpoint(tmp_path / "files")
    assert (read.dtype, read.vision.tower) == ("bfloat16", "clip")
    assert read.language_model.vocab_size == 32064
    assert count_image_tokens((672, 672), read.vision, read.image) == image_tokens
    prompts = choose_prompt_format(read_tokenizer(read.path), read.text, None)
    turns = split_turns(
        parse_chat_request(
            build_body(
                [build_user_message("What is red?", [build_image_part(b"")])],
                RequestOptions(shape.name, 8, stream=False),
            )
        ).messages
    )
    ids = PromptBuilder(prompts, shape.max_model_len).build(turns, [image_tokens]).token_ids
    assert ids[0] == shape.special_tokens["<s>"]
    assert ids.count(shape.special_tokens["<image>"]) == image_tokens
    text = prompts.tokenizer.decode([each for each in ids[1:] if each < 32000])
    assert text.startswith(begin)
    assert "What is red?" in text


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_each_has_a_suite_and_a_context_for_its_largest_requests(shape: Shape) -> None:
    assert shape.suite in SUITES
    positions = shape.config["text_config"].get("max_position_embeddings", 32768)
    assert shape.max_model_len <= positions
    assert shape.max_num_seqs <= shape.max_num_batched_tokens


def test_an_answer_never_takes_a_token_without_text(tmp_path: Path) -> None:
    shape = shrink(LLAVA_15_SMALL)
    weights = read_weights(write_once(shape, tmp_path, torch.bfloat16))
    output = weights["language_model.lm_head.weight"].float().std(dim=1)
    inside = torch.zeros(len(output), dtype=torch.bool)
    inside[shape.text_ids.start : shape.text_ids.stop] = True
    assert output[inside].min() > 50 * output[~inside].max()
    embeddings = weights["language_model.model.embed_tokens.weight"].float().std(dim=1)
    assert embeddings.min() > 0.01


def test_a_llama_tokenizer_covers_all_ids_and_answers_repeat_their_tokens() -> None:
    tokenizer = build_tokenizer(LLAVA_15_7B)
    assert tokenizer.get_vocab_size() == 32_002
    assert sorted(tokenizer.get_vocab().values()) == list(range(32_002))
    assert tokenizer.token_to_id("<0x00>") == 3
    question = build_question(7)
    ids = tokenizer.encode(question).ids
    assert ids[0] == 1
    assert tokenizer.decode(ids) == question
    assert len(ids) < 2 * len(question.split()) + 10
    assert tokenizer.decode(tokenizer.encode("naïve").ids) == "naïve"
    answer = [9_000, 20_000, 31_999]
    assert tokenizer.encode(tokenizer.decode(answer), add_special_tokens=False).ids[1:] == answer


def test_the_tokenizer_covers_all_ids_and_encodes_questions_in_few_tokens() -> None:
    tokenizer = build_tokenizer(ONEVISION_05B)
    assert tokenizer.get_vocab_size() == 151_648
    assert tokenizer.token_to_id("<image>") == 151_646
    assert tokenizer.decode([150_000]).strip()
    question = build_question(7)
    ids = tokenizer.encode(question).ids
    assert tokenizer.decode(ids) == question
    assert len(ids) < 2 * len(question.split()) + 10
