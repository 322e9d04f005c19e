"""The tokens that log probabilities are reported for, and when."""

import math

import pytest
from tokenizers import Tokenizer

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import TokenLogprob
from server.generation.choice_delta import DecodedToken
from server.generation.logprobs import LEAST_LOGPROB, VisibleTokensReader

EOS = 1


@pytest.fixture(scope="module")
def vocabulary(checkpoint: Checkpoint) -> Vocabulary:
    """Return the embedded model's vocabulary."""
    return Vocabulary(checkpoint.path)


@pytest.fixture
def reader(vocabulary: Vocabulary) -> VisibleTokensReader:
    """Return a reader without top tokens."""
    return VisibleTokensReader(vocabulary, 0)


def tokenize(tokenizer: Tokenizer, text: str) -> list[TokenLogprob]:
    """Return a text's tokens, each with a log probability of its own."""
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return [TokenLogprob(token_id, -float(index), []) for index, token_id in enumerate(ids)]


def join_bytes(decoded: list[DecodedToken]) -> bytes:
    """Join the bytes of tokens."""
    return b"".join(token.bytes for token in decoded)


@pytest.mark.parametrize("text", ["A red circle.", "naïve 日本語 😀", "\n\n  two  \t spaces ", "é"])
def test_token_bytes_equal_the_text_however_it_is_split(
    text: str, vocabulary: Vocabulary, tokenizer: Tokenizer
) -> None:
    all_tokens = tokenize(tokenizer, text)
    for index in range(len(all_tokens) + 1):
        reader = VisibleTokensReader(vocabulary, 0)
        first = b"".join(vocabulary.token_bytes(t.token_id) for t in all_tokens[:index])
        text_so_far = first.decode(errors="ignore")
        decoded = list(reader.read(all_tokens[:index], text_so_far, ended=False))
        assert (
            len(text_so_far.encode()) - 4 <= len(join_bytes(decoded)) <= len(text_so_far.encode())
        )
        decoded += reader.read(all_tokens[index:], text[len(text_so_far) :], ended=True)
        assert join_bytes(decoded).decode() == text
        assert [token.logprob for token in decoded] == [t.logprob for t in all_tokens]


def test_parts_of_a_character_are_held_until_it_is_complete(
    reader: VisibleTokensReader, tokenizer: Tokenizer
) -> None:
    parts = tokenize(tokenizer, "😀")
    assert len(parts) == 4
    for part in parts[:-1]:
        assert len(list(reader.read([part], "", ended=False))) == 0
    decoded = list(reader.read(parts[-1:], "😀", ended=False))
    assert [token.bytes for token in decoded] == [b"\xf0", b"\x9f", b"\x98", b"\x80"]
    assert [token.token for token in decoded] == ["\ufffd"] * 4


@pytest.mark.parametrize("stop", range(1, 20))
def test_tokens_of_a_stop_string_are_not_reported(
    stop: int, vocabulary: Vocabulary, tokenizer: Tokenizer
) -> None:
    """The token that the text ends inside is reported, since a part of it is visible."""
    text = "There is a red circle at the top."
    all_tokens = tokenize(tokenizer, text)
    reader = VisibleTokensReader(vocabulary, 0)
    decoded = list(reader.read(all_tokens, text[:stop], ended=True))
    assert join_bytes(decoded).startswith(text[:stop].encode())
    assert len(join_bytes(decoded[:-1])) < stop


def test_tokens_of_held_back_text_are_held_back(
    reader: VisibleTokensReader, tokenizer: Tokenizer
) -> None:
    text = "There is a red circle."
    all_tokens = tokenize(tokenizer, text)
    assert list(reader.read(all_tokens[:-1], "", ended=False)) == []
    assert join_bytes(list(reader.read(all_tokens[-1:], text, ended=True))).decode() == text


def test_special_tokens_are_not_reported(reader: VisibleTokensReader, tokenizer: Tokenizer) -> None:
    (token,) = tokenize(tokenizer, "A")
    decoded = list(reader.read([token, TokenLogprob(EOS, -1.0, [])], "A", ended=True))
    assert join_bytes(decoded) == b"A"


def test_tokens_of_an_empty_answer_are_not_reported(
    reader: VisibleTokensReader, tokenizer: Tokenizer
) -> None:
    assert list(reader.read(tokenize(tokenizer, "Never"), "", ended=True)) == []


def test_skipped_white_space_is_not_reported(
    reader: VisibleTokensReader, tokenizer: Tokenizer
) -> None:
    reader.skip("   ")
    decoded = list(reader.read(tokenize(tokenizer, "   red circle"), "red circle", ended=True))
    assert join_bytes(decoded) == b"red circle"


def test_a_token_that_is_entirely_skipped_is_dropped(
    vocabulary: Vocabulary, tokenizer: Tokenizer
) -> None:
    all_tokens = tokenize(tokenizer, "\n red")
    for cut in range(len(all_tokens) + 1):
        reader = VisibleTokensReader(vocabulary, 0)
        reader.skip("\n ")
        decoded = list(reader.read(all_tokens[:cut], "", ended=False))
        decoded += reader.read(all_tokens[cut:], "red", ended=True)
        assert join_bytes(decoded) == b"red"
        assert decoded[0].token == "red"


def test_top_tokens_are_limited_to_the_requested_number(vocabulary: Vocabulary) -> None:
    top = [(5, -0.5), (6, -1.0), (7, -math.inf)]
    for num_top in range(4):
        reader = VisibleTokensReader(vocabulary, num_top)
        (decoded,) = reader.read([TokenLogprob(7, -math.inf, top)], "#", ended=True)
        expected = [("!", -0.5), ('"', -1.0), ("#", LEAST_LOGPROB)][:num_top]
        assert [(each.token, each.logprob) for each in decoded.top] == expected
        assert decoded.logprob == LEAST_LOGPROB
