"""Raw prompts: text that stays text, ids as they are, and what SentencePiece adds."""

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
def texts(checkpoint: Checkpoint, metrics: Metrics) -> TextTokenizer:
    """Return the embedded model's, with a short context."""
    form = choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text)
    builder = PromptBuilder(form, MAX_MODEL_LEN)
    return TextTokenizer(builder, Vocabulary(checkpoint.path), metrics)


async def prompts(texts: TextTokenizer, prompt: Any) -> list[TextPrompt]:
    """Return the prompts of a request."""
    return await texts.tokenize_prompts(CompletionRequest(model="m", prompt=prompt))


async def test_text_follows_the_bos(texts: TextTokenizer) -> None:
    [prompt] = await prompts(texts, " red </s>")
    assert prompt.token_ids[0] == 0
    assert 1 not in prompt.token_ids
    assert (prompt.text, prompt.prefix_length) == (" red </s>", 0)


async def test_ids_are_taken_as_they_are(texts: TextTokenizer) -> None:
    [first, second] = await prompts(texts, [[421, 1, 421], [0]])
    assert (first.token_ids, first.text) == ([421, 1, 421], " red red")
    assert (second.token_ids, second.text) == ([0], "")


async def test_the_context_must_leave_room(texts: TextTokenizer) -> None:
    await prompts(texts, [421] * (MAX_MODEL_LEN - 1))
    with pytest.raises(ContextLengthExceeded) as raised:
        await prompts(texts, [[421], [421] * MAX_MODEL_LEN])
    assert raised.value.param == "prompt[1]"


async def test_long_texts_are_refused_from_a_thread_just_so(texts: TextTokenizer) -> None:
    with pytest.raises(ContextLengthExceeded) as raised:
        await prompts(texts, "red " * INLINE_CHARACTERS)
    assert raised.value.param == "prompt"
    long = await texts.tokenize("red " * INLINE_CHARACTERS)
    assert await texts.detokenize(long) == "<s>" + "red " * INLINE_CHARACTERS


async def test_an_id_beyond_the_vocabulary(texts: TextTokenizer) -> None:
    with pytest.raises(InvalidValue) as raised:
        await texts.detokenize([5, 859])
    assert raised.value.param == "tokens[1]"


async def test_the_space_that_sentencepiece_adds_is_hidden(
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
    texts = TextTokenizer(builder, Vocabulary(tmp_path), metrics)
    [plain, spaced] = await prompts(texts, ["It is red", " It is red"])
    assert (plain.text, plain.prefix_length) == ("It is red", 1)
    assert (spaced.text, spaced.prefix_length) == (" It is red", 1)
    assert await texts.detokenize(plain.token_ids[1:]) == "It is red"


async def test_a_prompt_without_any_token(checkpoint: Checkpoint, metrics: Metrics) -> None:
    text = replace(checkpoint.text, add_bos_token=None, bos_token=None)
    form = choose_prompt_format(read_tokenizer(checkpoint.path), text)
    texts = TextTokenizer(PromptBuilder(form, 64), Vocabulary(checkpoint.path), metrics)
    with pytest.raises(InvalidValue) as raised:
        await prompts(texts, ["a", ""])
    assert raised.value.param == "prompt[1]"
