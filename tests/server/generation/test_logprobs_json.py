"""Log probabilities as JSON text equal those of the wire models, and are written in slices."""

import asyncio
import json
import math

import pytest

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary, build_token_text
from server.engine.base import TokenLogprob
from server.generation.choice_delta import DecodedToken
from server.generation.logprobs import decode_token
from server.generation.logprobs_json import SLICE, format_tokens
from server.protocol.chat.response import ChatTokenLogprob, TopLogprob


@pytest.fixture(scope="module")
def vocabulary(checkpoint: Checkpoint) -> Vocabulary:
    """Return the embedded model's vocabulary."""
    return Vocabulary(checkpoint.path)


def build_model(token: DecodedToken) -> ChatTokenLogprob:
    """Return a token as the wire's model."""
    top = [
        TopLogprob(token=each.token, logprob=each.logprob, bytes=list(each.bytes))
        for each in token.top
    ]
    assert token.logprob is not None
    return ChatTokenLogprob(
        token=token.token, logprob=token.logprob, bytes=list(token.bytes), top_logprobs=top
    )


async def test_json_equals_the_models(vocabulary: Vocabulary) -> None:
    """Every token of the vocabulary: bytes, quotation marks, control characters, spaces."""
    tokens = [
        decode_token(
            vocabulary,
            TokenLogprob(token_id, -0.1 * token_id, [(token_id, -1e-7), (0, -math.inf)]),
            20,
        )
        for token_id in range(vocabulary.size)
    ]
    for token, text in zip(tokens, await format_tokens(tokens), strict=True):
        assert json.loads(text) == build_model(token).model_dump()


@pytest.mark.parametrize(
    "data", [b'"\\\n', b"\x00\x1f\x7f", "\u2028é😀".encode(), b"\xf0\x9f", b""]
)
def test_token_texts_are_json(data: bytes) -> None:
    token_text = build_token_text(data)
    expected = {"token": data.decode(errors="replace"), "bytes": list(data)}
    assert json.loads(f"{{{token_text.json}}}") == expected
    assert token_text.json.isascii()


def test_a_part_of_a_character_has_a_label_of_its_bytes() -> None:
    assert build_token_text(b"\xf0\x9f").label == r"bytes:\xf0\x9f"
    assert build_token_text("é".encode()).label == "é"
    assert build_token_text(b"", "</s>").label == "</s>"


def test_the_text_of_a_token_is_built_once(vocabulary: Vocabulary) -> None:
    assert vocabulary.token_text(300) is vocabulary.token_text(300)
    assert vocabulary.token_text.cache_info().maxsize == 65536


async def test_the_event_loop_runs_between_slices(vocabulary: Vocabulary) -> None:
    token = decode_token(vocabulary, TokenLogprob(300, -1.0, [(300, -1.0)]), 20)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count_turns())
    assert len(await format_tokens([token] * (10 * SLICE))) == 10 * SLICE
    task.cancel()
    assert turns == 9
