"""The defaults are those of transformers' classes, for whatever a configuration leaves out."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from server.checkpoint.config import read_checkpoint
from server.checkpoint.defaults import MODELS, TEXT, TOWERS, WHOLE_TOWERS, fill_defaults
from tests.server.checkpoint.checkpoint_files import LLAVA_1_5, LLAVA_1_6, write_checkpoint_files
from tests.server.checkpoint.test_family import VIP_LLAVA
from tests.server.checkpoint.test_siglip_family import INTERLEAVE, ONEVISION

NEXT_VIDEO = LLAVA_1_6 | {
    "image_token_index": 32001,
    "model_type": "llava_next_video",
    "spatial_pool_mode": "average",
    "spatial_pool_stride": 2,
    "video_token_index": 32000,
}
CONFIGS: Mapping[str, dict[str, Any]] = {
    "llava": LLAVA_1_5,
    "interleave": INTERLEAVE,
    "llava_next": LLAVA_1_6,
    "llava_next_video": NEXT_VIDEO,
    "llava_onevision": ONEVISION,
    "vipllava": VIP_LLAVA,
}
MODEL_KEYS = sorted({key for defaults in MODELS.values() for key in defaults})
TOWER_KEYS = sorted(TOWERS["clip_vision_model"])
TEXT_KEYS = ("hidden_size", "max_position_embeddings", "vocab_size", "num_attention_heads")


@pytest.mark.parametrize("table", [MODELS, TOWERS, TEXT], ids=["models", "towers", "text"])
def test_the_tables_are_the_classes(table: Mapping[str, Mapping[str, Any]]) -> None:
    for model_type, defaults in table.items():
        config = CONFIG_MAPPING[model_type]()
        assert {key: getattr(config, key) for key in defaults} == defaults, model_type


@pytest.mark.parametrize("model_type", MODELS)
def test_the_whole_towers_are_the_classes(model_type: str) -> None:
    tower = CONFIG_MAPPING[model_type]().vision_config
    sizes = WHOLE_TOWERS[tower.model_type]
    assert {key: getattr(tower, key) for key in sizes} == sizes


def _read_both(folder: Path, config: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return our reading of a configuration and transformers' own."""
    (folder / "config.json").write_text(json.dumps(config))
    return fill_defaults(config), AutoConfig.from_pretrained(folder)


def _check_equal(ours: Mapping[str, Any], theirs: Any) -> None:
    parts = (
        (ours, theirs, MODELS[theirs.model_type]),
        (ours["text_config"], theirs.text_config, ("model_type", *TEXT_KEYS)),
        (ours["vision_config"], theirs.vision_config, ("model_type", *TOWER_KEYS)),
    )
    for our_part, their_part, keys in parts:
        for key in keys:
            assert our_part[key] == getattr(their_part, key), key


@pytest.mark.parametrize("name", CONFIGS)
def test_keys_of_the_model_may_be_missing(name: str, tmp_path: Path) -> None:
    for key in {*MODEL_KEYS, "text_config", "vision_config"} & set(CONFIGS[name]):
        _check_equal(*_read_both(tmp_path, _leave_out(CONFIGS[name], key)))


@pytest.mark.parametrize("part", ["text_config", "vision_config"])
@pytest.mark.parametrize("name", CONFIGS)
def test_keys_of_its_parts_may_be_missing(name: str, part: str, tmp_path: Path) -> None:
    sizes = CONFIGS[name][part]
    for key in {*TOWER_KEYS, *TEXT_KEYS, "model_type"} & set(sizes):
        short = _leave_out(sizes, key)
        if key == "num_attention_heads":  # the default must divide the size
            short["hidden_size"] = 1536
        _check_equal(*_read_both(tmp_path, CONFIGS[name] | {part: short}))


def _leave_out(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {each: value for each, value in config.items() if each != key}


@pytest.mark.parametrize("key", ["text_config", "vision_config", "image_grid_pinpoints"])
@pytest.mark.parametrize("name", CONFIGS)
def test_null_is_left_out(name: str, key: str, tmp_path: Path) -> None:
    _check_equal(*_read_both(tmp_path, CONFIGS[name] | {key: None}))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_tokens_have_two_names(name: str, tmp_path: Path) -> None:
    renamed = {key.replace("_token_index", "_token_id"): v for key, v in CONFIGS[name].items()}
    _check_equal(*_read_both(tmp_path, renamed))


@pytest.mark.parametrize("model_type", MODELS)
def test_a_model_type_alone_is_a_configuration(model_type: str, tmp_path: Path) -> None:
    folder = write_checkpoint_files(tmp_path, config={"model_type": model_type})
    vision = read_checkpoint(folder).vision
    tower = CONFIG_MAPPING[model_type]().vision_config
    assert (vision.hidden_size, vision.image_size) == (tower.hidden_size, tower.image_size)


def test_a_vip_llava_always_has_biases(tmp_path: Path) -> None:
    config = VIP_LLAVA | {"multimodal_projector_bias": False}
    assert read_checkpoint(write_checkpoint_files(tmp_path, config=config)).vision.projector_bias
