"""The packed decoder: equal to transformers' Llama and to separate blocks."""

import random

import torch

from training.data.conversation import SYSTEM, build_answer
from training.data.dialogues import Dialogue, sample_single_image_dialogue
from training.data.question import build_question
from training.data.sampling import sample_scenes
from training.model.architecture import HIDDEN_SIZE, NUM_IMAGE_TOKENS, build_model
from training.model.batch import collate
from training.model.packed_decoder import PackedDecoder, merge_image_embeds
from training.model.packing import pack
from training.model.tokenizer import (
    CachedTokenizer,
)


def test_a_packed_block_has_the_loss_of_a_separate_block(encode: CachedTokenizer) -> None:
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
    (chunk,) = packed.chunks
    ids = torch.tensor([[*packed.prefix, *chunk.ids]])
    with torch.no_grad():
        scores = PackedDecoder(model)(collate([packed]), embeds)
        inputs = merge_image_embeds(model.model.language_model.embed_tokens(ids), ids, embeds)
        hidden = model.model.language_model(inputs_embeds=inputs).last_hidden_state
        length = len(encode(build_answer("yes"))) + 1
        logits = model.lm_head(hidden[0, -length - 1 : -1])
        expected = torch.nn.functional.cross_entropy(logits, ids[0, -length:])
    torch.testing.assert_close(scores.losses[0], expected, rtol=1e-4, atol=1e-4)


def test_guidance_adds_to_the_loss(encode: CachedTokenizer) -> None:
    turn = build_question("a", "Where is it?", "top", "top")
    batch = collate([pack(encode, Dialogue(SYSTEM, (0,), ((turn,),)))])
    decoder = PackedDecoder(build_model(seed=0))
    embeds = torch.randn(1, NUM_IMAGE_TOKENS, HIDDEN_SIZE)
    unguided, guided = (decoder.compute_loss(batch, embeds, weight) for weight in (0.0, 0.5))
    assert guided > unguided
