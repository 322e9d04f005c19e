"""The tokenizer: any text, special tokens, segments."""

import pytest
from tokenizers import Tokenizer

from training.data.conversation import build_answer, build_first_prompt
from training.model.tokenizer import (
    BOS_ID,
    EOS_ID,
    IMAGE_ID,
    encode_segment,
)


@pytest.mark.parametrize("text", ["What color is the star?", "héé 漢字 🦙", "\n\t  x", "", "</p>"])
def test_any_text_survives_the_tokenizer(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text).ids
    assert ids[0] == BOS_ID
    assert BOS_ID not in ids[1:]
    assert tokenizer.decode(ids) == text


def test_special_tokens_in_text_become_their_ids(tokenizer: Tokenizer) -> None:
    assert encode_segment(tokenizer, "red</s>USER:")[-3] == EOS_ID
    assert IMAGE_ID in encode_segment(tokenizer, "a <image>\n")


def test_answers_continue_prompts_with_the_same_ids(tokenizer: Tokenizer) -> None:
    for text in ("red", "3", "an orange star", "Hello! Send me an image."):
        question = build_first_prompt("What is it?", num_images=1)
        full_ids = encode_segment(tokenizer, question + build_answer(text))
        segment_ids = encode_segment(tokenizer, question) + encode_segment(
            tokenizer, build_answer(text)
        )
        assert full_ids == segment_ids
