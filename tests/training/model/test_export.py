"""Exported checkpoints: complete, under the published names, and the same after loading."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoTokenizer

from training.data.conversation import SYSTEM
from training.data.corpus import sample_corpus
from training.model.architecture import build_model
from training.model.export import export_model, load_model
from training.model.tokenizer import BOS_ID, IMAGE_ID, train_tokenizer

FILES = {
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
}
PREFIXES = (
    "vision_tower.vision_model.",
    "multi_modal_projector.linear_",
    "language_model.model.",
    "language_model.lm_head.",
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "llava"
    export_model(build_model(seed=3), train_tokenizer(sample_corpus(0, 50)), folder)
    return folder


def test_every_file_is_there_and_nothing_else(exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} == FILES
    assert [path.name for path in exported.parent.iterdir()] == [exported.name]


def test_weights_have_the_published_names_and_type(exported: Path) -> None:
    with safe_open(exported / "model.safetensors", framework="pt") as weights:
        names = list(weights.keys())
        assert all(name.startswith(PREFIXES) for name in names)
        assert {prefix for prefix in PREFIXES if any(n.startswith(prefix) for n in names)} == {
            *PREFIXES
        }
        assert all(weights.get_tensor(name).dtype == torch.bfloat16 for name in names)


def test_loading_gives_the_weights_back(exported: Path) -> None:
    expected = build_model(seed=3).to(torch.bfloat16).state_dict()
    for name, weight in load_model(exported).state_dict().items():
        assert torch.equal(weight, expected[name])


def test_config_says_what_servers_read(exported: Path) -> None:
    config = json.loads((exported / "config.json").read_text())
    expected = {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "image_token_index": IMAGE_ID,
        "image_seq_length": 64,
        "vision_feature_layer": -2,
        "image_aspect_ratio": "pad",
        "mm_projector_type": "mlp2x_gelu",
        "conv_mode": "vicuna_v1",
        "dtype": "bfloat16",
    }
    assert {key: config[key] for key in expected} == expected
    assert config["text_config"]["vocab_size"] == 1024


def test_the_chat_template_is_vicuna_v1_with_images_in_front(exported: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(exported)
    messages = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "What is it?"}, {"type": "image"}],
        },
        {"role": "assistant", "content": "a star"},
        {"role": "user", "content": "What color?"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == (
        f"{SYSTEM} USER: <image>\nWhat is it? ASSISTANT: a star</s>USER: What color? ASSISTANT:"
    )


def test_a_system_message_takes_the_place_of_the_template_s(exported: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(exported)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "Be brief. USER: Hi ASSISTANT:"


def test_transformers_tokenizer_adds_one_bos(exported: Path) -> None:
    ids = AutoTokenizer.from_pretrained(exported)("a").input_ids
    assert ids[0] == BOS_ID
    assert ids.count(BOS_ID) == 1
