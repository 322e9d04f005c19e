"""Prompts without a template: text, token ids, and SentencePiece's prefix space."""

from dataclasses import replace
from typing import Any

import pytest
from tokenizers import decoders

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.errors import ContextLengthExceeded, InvalidValue
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.text_tokenizer import INLINE_CHARACTERS, TextPrompt, TextTokenizer
from server.prompt.tokenizer import read_tokenizer
from server.protocol.completions.request import CompletionRequest
from server.telemetry.metrics import Metrics
from tests.server.released_tokenizer import convert, train

MAX_MODEL_LEN = 64


@pytest.fixture
def text_tokenizer(checkpoint: Checkpoint, metrics: Metrics) -> TextTokenizer:
    """Return a tokenizer of the embedded model, with a short context."""
    prompt_format = choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text)
    builder = PromptBuilder(prompt_format, MAX_MODEL_LEN)
    return TextTokenizer(builder, Vocabulary(checkpoint.path), metrics)


async def tokenize_prompts(text_tokenizer: TextTokenizer, prompt: Any) -> list[TextPrompt]:
    """Return the prompts of a request."""
    return await text_tokenizer.tokenize_prompts(CompletionRequest(model="m", prompt=prompt))


async def test_text_follows_the_bos(text_tokenizer: TextTokenizer) -> None:
    [prompt] = await tokenize_prompts(text_tokenizer, " red </s>")
    assert prompt.token_ids[0] == 0
    assert 1 not in prompt.token_ids
    assert (prompt.text, prompt.prefix_length) == (" red </s>", 0)


async def test_token_ids_are_used_unchanged(text_tokenizer: TextTokenizer) -> None:
    [first, second] = await tokenize_prompts(text_tokenizer, [[421, 1, 421], [0]])
    assert (first.token_ids, first.text) == ([421, 1, 421], " red red")
    assert (second.token_ids, second.text) == ([0], "")


async def test_a_prompt_must_leave_a_token_for_the_answer(text_tokenizer: TextTokenizer) -> None:
    await tokenize_prompts(text_tokenizer, [421] * (MAX_MODEL_LEN - 1))
    with pytest.raises(ContextLengthExceeded) as raised:
        await tokenize_prompts(text_tokenizer, [[421], [421] * MAX_MODEL_LEN])
    assert raised.value.param == "prompt[1]"


async def test_long_texts_are_tokenised_in_a_thread(text_tokenizer: TextTokenizer) -> None:
    with pytest.raises(ContextLengthExceeded) as raised:
        await tokenize_prompts(text_tokenizer, "red " * INLINE_CHARACTERS)
    assert raised.value.param == "prompt"
    token_ids = await text_tokenizer.tokenize("red " * INLINE_CHARACTERS)
    assert await text_tokenizer.detokenize(token_ids) == "<s>" + "red " * INLINE_CHARACTERS


async def test_an_id_beyond_the_vocabulary_is_refused(text_tokenizer: TextTokenizer) -> None:
    with pytest.raises(InvalidValue) as raised:
        await text_tokenizer.detokenize([5, 859])
    assert raised.value.param == "tokens[1]"


async def test_sentencepieces_prefix_space_is_not_part_of_the_text(
    checkpoint: Checkpoint, metrics: Metrics, tmp_path: Any
) -> None:
    tokenizer = convert(train("<image>"), "prepend")
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    image_token_id = tokenizer.token_to_id("<image>")
    assert image_token_id is not None
    text = replace(checkpoint.text, image_token_id=image_token_id)
    builder = PromptBuilder(choose_prompt_format(tokenizer, text), 2048)
    text_tokenizer = TextTokenizer(builder, Vocabulary(tmp_path), metrics)
    [plain, spaced] = await tokenize_prompts(text_tokenizer, ["It is red", " It is red"])
    assert (plain.text, plain.prefix_length) == ("It is red", 1)
    assert (spaced.text, spaced.prefix_length) == (" It is red", 1)
    assert await text_tokenizer.detokenize(plain.token_ids[1:]) == "It is red"


async def test_a_prompt_without_tokens_is_refused(checkpoint: Checkpoint, metrics: Metrics) -> None:
    text = replace(checkpoint.text, add_bos_token=None, bos_token=None)
    prompt_format = choose_prompt_format(read_tokenizer(checkpoint.path), text)
    text_tokenizer = TextTokenizer(
        PromptBuilder(prompt_format, 64), Vocabulary(checkpoint.path), metrics
    )
    with pytest.raises(InvalidValue) as raised:
        await tokenize_prompts(text_tokenizer, ["a", ""])
    assert raised.value.param == "prompt[1]"


@pytest.mark.parametrize("modality", ["image", "video"])
async def test_tokens_of_media_are_refused(
    modality: str, checkpoint: Checkpoint, metrics: Metrics
) -> None:
    """Nothing stands for them in a text completion."""
    text = replace(checkpoint.text, image_token_id=7, video_token_id=8)
    prompt_format = choose_prompt_format(read_tokenizer(checkpoint.path), text, "llava_v1")
    text_tokenizer = TextTokenizer(
        PromptBuilder(prompt_format, 64), Vocabulary(checkpoint.path), metrics
    )
    token_id = {"image": 7, "video": 8}[modality]
    with pytest.raises(InvalidValue, match=f"the {modality} token, and a text completion") as error:
        await tokenize_prompts(text_tokenizer, [[5, token_id]])
    assert error.value.param == "prompt[0][1]"
