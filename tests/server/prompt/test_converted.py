"""Converted releases: prompts have the ids that the released code would give them."""

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
from tests.server.prompt.test_templates import CONVERSATION, IMAGE_LENGTH, PROMPTS
from tests.server.released_tokenizer import SentencePieceModel


@pytest.mark.parametrize(
    ("version", "conv_mode", "legacy"),
    [
        ("v1", "llava_v1", True),
        ("v1.5", "vicuna_v1", False),
        ("v1.6-vicuna", "vicuna_v1", False),
        ("v1.6-mistral", "mistral_instruct", True),
    ],
)
def test_ids_are_the_released_code_s(
    tmp_path: Path, version: Version, conv_mode: str, legacy: bool
) -> None:
    released = write_released(tmp_path / "released", version)
    checkpoint = read_checkpoint(convert(released, tmp_path / "converted").path)
    prompts = choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text)
    built = PromptBuilder(prompts, 2048).build(split_turns(CONVERSATION), [IMAGE_LENGTH] * 3)

    prompt = PROMPTS[conv_mode][0]
    if version == "v1":
        prompt = prompt.replace("<image>", "<im_start><image><im_end>")
    added = V1_ADDED if version == "v1" else ()
    model = SentencePieceModel((released.path / "tokenizer.model").read_bytes(), added)
    image = [checkpoint.text.image_token_id] * IMAGE_LENGTH
    expected: list[int] = []
    for token in model.ids(prompt, legacy=legacy):
        expected += image if token is None else [token]
    assert built.token_ids == expected
