"""Sequences: the ids of serving, blocks that do not see each other, answers judged one by one."""

import random

import pytest
import torch
from tokenizers import Tokenizer

from model_store.recipe.architecture import HIDDEN, IMAGE_TOKENS, build_model
from model_store.recipe.conversation import SYSTEM, answer, prompt
from model_store.recipe.corpus import conversations
from model_store.recipe.dialogues import Dialogue, single_image
from model_store.recipe.questions import Question
from model_store.recipe.scenes import PLACES, sample_scenes
from model_store.recipe.sequences import Encoder, block_mask, collate, opening_ids, pack
from model_store.recipe.speaker import Speaker
from model_store.recipe.tokenizer import BOS_ID, EOS_ID, IMAGE_ID, encode_piece, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(conversations(seed=0, count=100))


@pytest.fixture(scope="module")
def encode(tokenizer: Tokenizer) -> Encoder:
    return Encoder(tokenizer)


@pytest.mark.parametrize("text", ["What color is the star?", "héé 漢字 🦙", "\n\t  x", "", "</p>"])
def test_any_text_survives_the_tokenizer(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text).ids
    assert ids[0] == BOS_ID
    assert BOS_ID not in ids[1:]
    assert tokenizer.decode(ids) == text


def test_special_tokens_in_text_become_their_ids(tokenizer: Tokenizer) -> None:
    assert encode_piece(tokenizer, "red</s>USER:")[-3] == EOS_ID
    assert IMAGE_ID in encode_piece(tokenizer, "a <image>\n")


def test_answers_continue_prompts_with_the_same_ids(tokenizer: Tokenizer) -> None:
    for text in ("red", "3", "an orange star", "Hello! Send me an image."):
        question = prompt("What is it?", images=1)
        whole = encode_piece(tokenizer, question + answer(text))
        pieces = encode_piece(tokenizer, question) + encode_piece(tokenizer, answer(text))
        assert whole == pieces


def test_a_text_only_prompt_is_one_text(tokenizer: Tokenizer, encode: Encoder) -> None:
    whole = tokenizer.encode(f"{SYSTEM} USER: Hello ASSISTANT:").ids
    assert opening_ids(encode, SYSTEM, images=0) + encode(prompt("Hello", images=0)) == whole


def test_two_images_are_parted_by_a_newline(encode: Encoder) -> None:
    ids = opening_ids(encode, SYSTEM, images=2)
    start = len(encode(f"{SYSTEM} USER: ")) + 1
    assert ids[start:] == [IMAGE_ID] * IMAGE_TOKENS + encode("\n") + [IMAGE_ID] * IMAGE_TOKENS


def test_the_turns_of_a_block_follow_each_other(encode: Encoder) -> None:
    turns = (Question("a", "Is it red?", "no"), Question("b", "Is it blue?", "yes"))
    packed = pack(encode, Dialogue(SYSTEM, (4,), (turns,)))
    expected = (
        opening_ids(encode, SYSTEM, 1)
        + encode("\nIs it red? ASSISTANT: no")
        + [EOS_ID]
        + encode("USER: Is it blue? ASSISTANT: yes")
        + [EOS_ID]
    )
    assert packed.ids == expected
    assert packed.positions == list(range(len(expected)))
    assert packed.kinds == ["a", "b"]
    assert packed.answers.count(0) == packed.answers.count(1) == 2


def test_blocks_see_the_opening_and_themselves() -> None:
    mask = block_mask(torch.tensor([[0, 0, 1, 1, 2]]))[0]
    assert mask.tolist() == [
        [True, False, False, False, False],
        [True, True, False, False, False],
        [True, True, True, False, False],
        [True, True, True, True, False],
        [True, True, False, False, True],
    ]


def test_a_packed_block_is_judged_as_if_it_were_alone(encode: Encoder) -> None:
    scenes = list(sample_scenes(3, 1))
    dialogue = single_image(random.Random(1), scenes, 0)
    speaker = Speaker(build_model(seed=0))
    embeds = torch.randn(1, IMAGE_TOKENS, HIDDEN)
    with torch.no_grad():
        together = speaker(collate([pack(encode, dialogue)]), embeds).losses
        alone = [
            speaker(collate([pack(encode, Dialogue(dialogue.system, (0,), (block,)))]), embeds)
            for block in dialogue.blocks[:4]
        ]
    expected = torch.cat([judged.losses for judged in alone])
    torch.testing.assert_close(together[: len(expected)], expected, rtol=1e-4, atol=1e-4)


def test_each_clause_of_an_answer_looks_at_its_own_place(encode: Encoder) -> None:
    turn = Question("a", "Describe.", "A red star at the top, a cross.", ("top", "left"))
    packed = pack(encode, Dialogue(SYSTEM, (0,), ((turn,),)))
    words = [(packed.ids[token + 1], PLACES[place]) for token, place in packed.look_ups]
    first, second = encode(" A red star at the top"), encode(" a cross.")
    assert words == [(word, "top") for word in first] + [(word, "left") for word in second]


def test_nothing_is_looked_up_in_two_images(encode: Encoder) -> None:
    turn = Question("a", "Where is it in the first image?", "top", ("top",))
    assert not pack(encode, Dialogue(SYSTEM, (0, 1), ((turn,),))).look_ups
