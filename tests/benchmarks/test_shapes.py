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
from benchmarks.random_checkpoint import build_tokenizer, write_once
from benchmarks.requests import build_question
from benchmarks.shapes import INTERLEAVE_05B, ONEVISION_05B, SHAPES, Shape
from server.checkpoint.config import read_checkpoint
from server.prompt.format import choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from tests.server.checkpoint.test_siglip_family import INTERLEAVE, ONEVISION

SMALL_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
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
    return replace(shape, special_tokens=specials, config=config)


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


def test_the_configuration_is_the_published_one() -> None:
    assert ONEVISION_05B.config == ONEVISION
    assert INTERLEAVE_05B.config == INTERLEAVE
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


def test_the_tokenizer_covers_all_ids_and_encodes_questions_in_few_tokens() -> None:
    tokenizer = build_tokenizer(ONEVISION_05B)
    assert tokenizer.get_vocab_size() == 151_648
    assert tokenizer.token_to_id("<image>") == 151_646
    assert tokenizer.decode([150_000]).strip()
    question = build_question(7)
    ids = tokenizer.encode(question).ids
    assert tokenizer.decode(ids) == question
    assert len(ids) < 2 * len(question.split()) + 10
