"""Sequences: the ids of serving, blocks that do not see each other, answers scores one by one."""

import random

import pytest
import torch
from tokenizers import Tokenizer

from training.data.captions import describe
from training.data.conversation import SYSTEM, build_answer, build_first_prompt
from training.data.corpus import sample_corpus
from training.data.dialogues import Dialogue, build_caption_dialogue, sample_single_image_dialogue
from training.data.labels import SUMMARY_PATCHES
from training.data.question import AnswerPart, Question, build_question
from training.data.sampling import sample_scenes
from training.data.scenes import PLACES
from training.model.architecture import HIDDEN_SIZE, NUM_IMAGE_TOKENS, build_model
from training.model.batch import collate
from training.model.packed_decoder import PackedDecoder, merge_image_embeds
from training.model.packing import CHUNK_LENGTH, PackedSequence, build_prefix_ids, pack
from training.model.tokenizer import (
    BOS_ID,
    EOS_ID,
    IMAGE_ID,
    CachedTokenizer,
    encode_segment,
    train_tokenizer,
)

_NO_ANSWER = -1


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(sample_corpus(seed=0, count=100))


@pytest.fixture(scope="module")
def encode(tokenizer: Tokenizer) -> CachedTokenizer:
    return CachedTokenizer(tokenizer)


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


def test_a_text_only_prompt_is_one_text(tokenizer: Tokenizer, encode: CachedTokenizer) -> None:
    full_ids = tokenizer.encode(f"{SYSTEM} USER: Hello ASSISTANT:").ids
    assert (
        build_prefix_ids(encode, Dialogue(SYSTEM, (), ()))
        + encode(build_first_prompt("Hello", num_images=0))
        == full_ids
    )


def test_two_images_are_parted_by_a_newline(encode: CachedTokenizer) -> None:
    ids = build_prefix_ids(encode, Dialogue(SYSTEM, (0, 1), ()))
    start = len(encode(f"{SYSTEM} USER: ")) + 1
    assert (
        ids[start:] == [IMAGE_ID] * NUM_IMAGE_TOKENS + encode("\n") + [IMAGE_ID] * NUM_IMAGE_TOKENS
    )


def _chunk_ids(packed: PackedSequence) -> list[int]:
    return [token for chunk in packed.chunks for token in chunk.ids]


def test_the_turns_of_a_block_follow_each_other(encode: CachedTokenizer) -> None:
    turns = (build_question("a", "Is it red?", "no"), build_question("b", "Is it blue?", "yes"))
    dialogue = Dialogue(SYSTEM, (4,), (turns,))
    packed = pack(encode, dialogue)
    (chunk,) = packed.chunks
    first, second = encode("\nIs it red? ASSISTANT: no"), encode("USER: Is it blue? ASSISTANT: yes")
    expected = [*first, EOS_ID, *second, EOS_ID]
    start = len(build_prefix_ids(encode, dialogue))
    assert len(packed.prefix) == start
    assert chunk.ids == expected
    assert chunk.positions == list(range(start, start + len(expected)))
    assert packed.kinds == ["a", "b"]
    assert chunk.answers.count(0) == chunk.answers.count(1) == 2


def test_a_plain_caption_follows_its_image_at_once(encode: CachedTokenizer) -> None:
    scenes = list(sample_scenes(3, 1))
    packed = pack(encode, build_caption_dialogue(scenes, 0))
    assert packed.prefix == [BOS_ID, *[IMAGE_ID] * NUM_IMAGE_TOKENS]
    short = encode(describe(scenes[0]))
    assert _chunk_ids(packed)[: len(short) + 1] == [*short, *encode("\n")]
    assert _NO_ANSWER not in packed.chunks[0].answers


def test_no_block_crosses_a_chunk(encode: CachedTokenizer) -> None:
    scenes = list(sample_scenes(4, 20))
    for index in range(20):
        packed = pack(encode, sample_single_image_dialogue(random.Random(index), scenes, index))
        assert len(packed.chunks) > 1
        blocks = [set(chunk.blocks) for chunk in packed.chunks]
        assert all(len(chunk.ids) <= CHUNK_LENGTH for chunk in packed.chunks)
        assert sum(map(len, blocks)) == len(set().union(*blocks))


def test_a_packed_block_is_judged_as_if_it_were_alone(encode: CachedTokenizer) -> None:
    scenes = list(sample_scenes(3, 1))
    dialogue = sample_single_image_dialogue(random.Random(1), scenes, 0)
    decoder = PackedDecoder(build_model(seed=0))
    embeds = torch.randn(1, NUM_IMAGE_TOKENS, HIDDEN_SIZE)
    with torch.no_grad():
        packed_losses = decoder(collate([pack(encode, dialogue)]), embeds).losses
        separate = [
            decoder(collate([pack(encode, Dialogue(dialogue.system, (0,), (block,)))]), embeds)
            for block in dialogue.blocks[:6]
        ]
    expected = torch.cat([scores.losses for scores in separate])
    torch.testing.assert_close(packed_losses[: len(expected)], expected, rtol=1e-4, atol=1e-4)


def test_the_decoder_is_transformers_llama(encode: CachedTokenizer) -> None:
    model = build_model(seed=0)
    turn = build_question("a", "Is there a red star at the top?", "yes")
    dialogue = Dialogue(SYSTEM, (0,), ((turn,),))
    packed = pack(encode, dialogue)
    embeds = torch.randn(1, NUM_IMAGE_TOKENS, HIDDEN_SIZE)
    ids = torch.tensor([[*packed.prefix, *_chunk_ids(packed)]])
    with torch.no_grad():
        scores = PackedDecoder(model)(collate([packed]), embeds)
        inputs = merge_image_embeds(model.model.language_model.embed_tokens(ids), ids, embeds)
        hidden = model.model.language_model(inputs_embeds=inputs).last_hidden_state
        length = len(encode(build_answer("yes"))) + 1
        logits = model.lm_head(hidden[0, -length - 1 : -1])
        expected = torch.nn.functional.cross_entropy(logits, ids[0, -length:])
    torch.testing.assert_close(scores.losses[0], expected, rtol=1e-4, atol=1e-4)


def test_each_part_of_an_answer_looks_at_its_own_places(encode: CachedTokenizer) -> None:
    parts = (
        AnswerPart("A red star at the top", ("top",)),
        AnswerPart(", a cross", ("left", "right")),
        AnswerPart("."),
    )
    packed = pack(encode, Dialogue(SYSTEM, (0,), ((Question("a", "Describe.", parts),),)))
    ids, image = _chunk_ids(packed), packed.prefix.index(IMAGE_ID)
    targets = [
        (ids[token + 1], [position - image for position in positions])
        for token, positions in packed.attention_targets
    ]
    top, left, right = (SUMMARY_PATCHES[PLACES.index(p)] for p in ("top", "left", "right"))
    first, second = encode(" A red star at the top"), encode(", a cross")
    assert targets == [(token, [top]) for token in first] + [
        (token, [left, right]) for token in second
    ]


def test_the_second_image_is_looked_at_where_it_stands(encode: CachedTokenizer) -> None:
    parts = (AnswerPart("top", ("top",), image=1),)
    packed = pack(encode, Dialogue(SYSTEM, (0, 1), ((Question("a", "Where?", parts),),)))
    images = [index for index, token in enumerate(packed.prefix) if token == IMAGE_ID]
    expected = images[NUM_IMAGE_TOKENS + SUMMARY_PATCHES[PLACES.index("top")]]
    assert [positions for _, positions in packed.attention_targets] == [[expected]]


def test_looking_away_costs(encode: CachedTokenizer) -> None:
    turn = build_question("a", "Where is it?", "top", "top")
    batch = collate([pack(encode, Dialogue(SYSTEM, (0,), ((turn,),)))])
    decoder = PackedDecoder(build_model(seed=0))
    embeds = torch.randn(1, NUM_IMAGE_TOKENS, HIDDEN_SIZE)
    unguided, guided = (decoder.compute_loss(batch, embeds, weight) for weight in (0.0, 0.5))
    assert guided > unguided
