"""Sequences: the ids of serving, blocks that do not see each other, answers judged one by one."""

import random

import pytest
import torch
from tokenizers import Tokenizer

from training.data.captions import describe
from training.data.conversation import SYSTEM, answer, prompt
from training.data.corpus import conversations
from training.data.dialogues import Dialogue, captioned, single_image
from training.data.labels import SUMMARY_PATCHES
from training.data.question import Part, Question, question
from training.data.sampling import sample_scenes
from training.data.scenes import PLACES
from training.model.architecture import HIDDEN, IMAGE_TOKENS, build_model
from training.model.packed_decoder import PackedDecoder, splice
from training.model.packing import CHUNK, PackedSequence, PieceEncoder, collate, opening_ids, pack
from training.model.tokenizer import BOS_ID, EOS_ID, IMAGE_ID, encode_piece, train_tokenizer

_NO_ANSWER = -1


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(conversations(seed=0, count=100))


@pytest.fixture(scope="module")
def encode(tokenizer: Tokenizer) -> PieceEncoder:
    return PieceEncoder(tokenizer)


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


def test_a_text_only_prompt_is_one_text(tokenizer: Tokenizer, encode: PieceEncoder) -> None:
    whole = tokenizer.encode(f"{SYSTEM} USER: Hello ASSISTANT:").ids
    assert (
        opening_ids(encode, Dialogue(SYSTEM, (), ())) + encode(prompt("Hello", images=0)) == whole
    )


def test_two_images_are_parted_by_a_newline(encode: PieceEncoder) -> None:
    ids = opening_ids(encode, Dialogue(SYSTEM, (0, 1), ()))
    start = len(encode(f"{SYSTEM} USER: ")) + 1
    assert ids[start:] == [IMAGE_ID] * IMAGE_TOKENS + encode("\n") + [IMAGE_ID] * IMAGE_TOKENS


def _said(packed: PackedSequence) -> list[int]:
    return [token for chunk in packed.chunks for token in chunk.ids]


def test_the_turns_of_a_block_follow_each_other(encode: PieceEncoder) -> None:
    turns = (question("a", "Is it red?", "no"), question("b", "Is it blue?", "yes"))
    dialogue = Dialogue(SYSTEM, (4,), (turns,))
    packed = pack(encode, dialogue)
    (chunk,) = packed.chunks
    first, second = encode("\nIs it red? ASSISTANT: no"), encode("USER: Is it blue? ASSISTANT: yes")
    expected = [*first, EOS_ID, *second, EOS_ID]
    start = len(opening_ids(encode, dialogue))
    assert len(packed.opening) == start
    assert chunk.ids == expected
    assert chunk.positions == list(range(start, start + len(expected)))
    assert packed.kinds == ["a", "b"]
    assert chunk.answers.count(0) == chunk.answers.count(1) == 2


def test_a_plain_caption_follows_its_image_at_once(encode: PieceEncoder) -> None:
    scenes = list(sample_scenes(3, 1))
    packed = pack(encode, captioned(scenes, 0))
    assert packed.opening == [BOS_ID, *[IMAGE_ID] * IMAGE_TOKENS]
    short = encode(describe(scenes[0]))
    assert _said(packed)[: len(short) + 1] == [*short, *encode("\n")]
    assert _NO_ANSWER not in packed.chunks[0].answers


def test_no_block_crosses_a_chunk(encode: PieceEncoder) -> None:
    scenes = list(sample_scenes(4, 20))
    for index in range(20):
        packed = pack(encode, single_image(random.Random(index), scenes, index))
        assert len(packed.chunks) > 1
        blocks = [set(chunk.blocks) for chunk in packed.chunks]
        assert all(len(chunk.ids) <= CHUNK for chunk in packed.chunks)
        assert sum(map(len, blocks)) == len(set().union(*blocks))


def test_a_packed_block_is_judged_as_if_it_were_alone(encode: PieceEncoder) -> None:
    scenes = list(sample_scenes(3, 1))
    dialogue = single_image(random.Random(1), scenes, 0)
    speaker = PackedDecoder(build_model(seed=0))
    embeds = torch.randn(1, IMAGE_TOKENS, HIDDEN)
    with torch.no_grad():
        together = speaker(collate([pack(encode, dialogue)]), embeds).losses
        alone = [
            speaker(collate([pack(encode, Dialogue(dialogue.system, (0,), (block,)))]), embeds)
            for block in dialogue.blocks[:6]
        ]
    expected = torch.cat([judged.losses for judged in alone])
    torch.testing.assert_close(together[: len(expected)], expected, rtol=1e-4, atol=1e-4)


def test_the_decoder_is_transformers_llama(encode: PieceEncoder) -> None:
    model = build_model(seed=0)
    turn = question("a", "Is there a red star at the top?", "yes")
    dialogue = Dialogue(SYSTEM, (0,), ((turn,),))
    packed = pack(encode, dialogue)
    embeds = torch.randn(1, IMAGE_TOKENS, HIDDEN)
    ids = torch.tensor([[*packed.opening, *_said(packed)]])
    with torch.no_grad():
        judged = PackedDecoder(model)(collate([packed]), embeds)
        inputs = splice(model.model.language_model.embed_tokens(ids), ids, embeds)
        hidden = model.model.language_model(inputs_embeds=inputs).last_hidden_state
        said = len(encode(answer("yes"))) + 1
        logits = model.lm_head(hidden[0, -said - 1 : -1])
        expected = torch.nn.functional.cross_entropy(logits, ids[0, -said:])
    torch.testing.assert_close(judged.losses[0], expected, rtol=1e-4, atol=1e-4)


def test_each_part_of_an_answer_looks_at_its_own_places(encode: PieceEncoder) -> None:
    parts = (
        Part("A red star at the top", ("top",)),
        Part(", a cross", ("left", "right")),
        Part("."),
    )
    packed = pack(encode, Dialogue(SYSTEM, (0,), ((Question("a", "Describe.", parts),),)))
    said, image = _said(packed), packed.opening.index(IMAGE_ID)
    looks = [(said[token + 1], [seen - image for seen in at]) for token, at in packed.looks]
    top, left, right = (SUMMARY_PATCHES[PLACES.index(p)] for p in ("top", "left", "right"))
    first, second = encode(" A red star at the top"), encode(", a cross")
    assert looks == [(w, [top]) for w in first] + [(w, [left, right]) for w in second]


def test_the_second_image_is_looked_at_where_it_stands(encode: PieceEncoder) -> None:
    parts = (Part("top", ("top",), image=1),)
    packed = pack(encode, Dialogue(SYSTEM, (0, 1), ((Question("a", "Where?", parts),),)))
    images = [index for index, token in enumerate(packed.opening) if token == IMAGE_ID]
    wanted = images[IMAGE_TOKENS + SUMMARY_PATCHES[PLACES.index("top")]]
    assert [seen for _, seen in packed.looks] == [[wanted]]


def test_looking_away_costs(encode: PieceEncoder) -> None:
    turn = question("a", "Where is it?", "top", "top")
    batch = collate([pack(encode, Dialogue(SYSTEM, (0,), ((turn,),)))])
    speaker = PackedDecoder(build_model(seed=0))
    embeds = torch.randn(1, IMAGE_TOKENS, HIDDEN)
    alone, guided = (speaker.loss(batch, embeds, guidance) for guidance in (0.0, 0.5))
    assert guided > alone
