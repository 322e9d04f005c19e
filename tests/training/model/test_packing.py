"""Packed sequences: the ids of serving, independent blocks, attention targets."""

import random

from tokenizers import Tokenizer

from training.data.captions import describe
from training.data.conversation import SYSTEM, build_first_prompt
from training.data.dialogues import Dialogue, build_caption_dialogue, sample_single_image_dialogue
from training.data.labels import SUMMARY_PATCHES
from training.data.question import AnswerPart, Question, build_question
from training.data.sampling import sample_scenes
from training.data.scenes import PLACES
from training.model.architecture import NUM_IMAGE_TOKENS
from training.model.packing import CHUNK_LENGTH, NO_ANSWER, PackedSequence, build_prefix_ids, pack
from training.model.tokenizer import (
    BOS_ID,
    EOS_ID,
    IMAGE_ID,
    CachedTokenizer,
)


def test_a_text_only_prompt_is_one_text(tokenizer: Tokenizer, encode: CachedTokenizer) -> None:
    full_ids = tokenizer.encode(f"{SYSTEM} USER: Hello ASSISTANT:").ids
    assert (
        build_prefix_ids(encode, Dialogue(SYSTEM, (), ()))
        + encode(build_first_prompt("Hello", num_images=0))
        == full_ids
    )


def test_a_newline_separates_two_images(encode: CachedTokenizer) -> None:
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


def test_a_plain_caption_follows_its_image_directly(encode: CachedTokenizer) -> None:
    scenes = list(sample_scenes(3, 1))
    packed = pack(encode, build_caption_dialogue(scenes, 0))
    assert packed.prefix == [BOS_ID, *[IMAGE_ID] * NUM_IMAGE_TOKENS]
    short = encode(describe(scenes[0]))
    assert _chunk_ids(packed)[: len(short) + 1] == [*short, *encode("\n")]
    assert NO_ANSWER not in packed.chunks[0].answers


def test_no_block_crosses_a_chunk(encode: CachedTokenizer) -> None:
    scenes = list(sample_scenes(4, 20))
    for index in range(20):
        packed = pack(encode, sample_single_image_dialogue(random.Random(index), scenes, index))
        assert len(packed.chunks) > 1
        blocks = [set(chunk.blocks) for chunk in packed.chunks]
        assert all(len(chunk.ids) <= CHUNK_LENGTH for chunk in packed.chunks)
        assert sum(map(len, blocks)) == len(set().union(*blocks))


def test_each_part_of_an_answer_attends_to_its_own_places(encode: CachedTokenizer) -> None:
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


def test_an_attention_target_can_be_in_the_second_image(encode: CachedTokenizer) -> None:
    parts = (AnswerPart("top", ("top",), image=1),)
    packed = pack(encode, Dialogue(SYSTEM, (0, 1), ((Question("a", "Where?", parts),),)))
    images = [index for index, token in enumerate(packed.prefix) if token == IMAGE_ID]
    expected = images[NUM_IMAGE_TOKENS + SUMMARY_PATCHES[PLACES.index("top")]]
    assert [positions for _, positions in packed.attention_targets] == [[expected]]
