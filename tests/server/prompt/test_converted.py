"""Converted releases: prompts have the same ids as in the released code."""

from pathlib import Path

import pytest

from server.checkpoint.config import read_checkpoint
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from server.prompt.turns import split_turns
from tests.model_store.convert.conversion import convert
from tests.model_store.released import write_released
from tests.model_store.released_config import V1_ADDED, Version
from tests.server.llama_3_tokenizer import BEGIN, END, TURN_END
from tests.server.prompt.released_prompts import PROMPTS
from tests.server.prompt.test_templates import CONVERSATION, IMAGE_LENGTH
from tests.server.released_tokenizer import SentencePieceModel


@pytest.mark.parametrize(
    ("version", "conv_mode", "legacy"),
    [
        ("v1", "llava_v1", True),
        ("v1.5", "vicuna_v1", False),
        ("v1.6-vicuna", "vicuna_v1", False),
        ("v1.6-mistral", "mistral_instruct", True),
        ("sharegpt4v", "vicuna_v1", True),
        ("llava-med", "mistral_instruct", True),
        ("bakllava", "vicuna_v1", True),
    ],
)
def test_ids_equal_the_released_codes(
    tmp_path: Path, version: Version, conv_mode: str, legacy: bool
) -> None:
    released = write_released(tmp_path / "released", version)
    checkpoint = read_checkpoint(convert(released, tmp_path / "converted").path)
    prompt_format = choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text)
    prompt = PromptBuilder(prompt_format, 2048).build(split_turns(CONVERSATION), [IMAGE_LENGTH] * 3)

    text = PROMPTS[conv_mode][0]
    if version == "v1":
        text = text.replace("<image>", "<im_start><image><im_end>")
    added = V1_ADDED if version == "v1" else ()
    model = SentencePieceModel((released.path / "tokenizer.model").read_bytes(), added)
    image = [checkpoint.text.image_token_id] * IMAGE_LENGTH
    expected: list[int] = []
    for token in model.ids(text, legacy=legacy):
        expected += image if token is None else [token]
    assert prompt.token_ids == expected


@pytest.mark.parametrize(
    ("version", "conv_mode"), [("llama-3-next", "llava_llama_3"), ("llama-3-xtuner", "llama_3")]
)
def test_llama_3_has_one_bos_and_two_tokens_that_end_an_answer(
    tmp_path: Path, version: Version, conv_mode: str
) -> None:
    converted = convert(write_released(tmp_path / "released", version), tmp_path / "converted")
    checkpoint = read_checkpoint(converted.path)
    prompt_format = choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text)
    prompt = PromptBuilder(prompt_format, 2048).build(split_turns(CONVERSATION), [1, 1, 1])
    expected = converted.tokenizer.encode(BEGIN + PROMPTS[conv_mode][0], add_special_tokens=False)
    assert prompt.token_ids == expected.ids

    end, turn_end = map(converted.tokenizer.token_to_id, (END, TURN_END))
    assert converted.json("generation_config.json")["eos_token_id"] == [end, turn_end]
