"""Which tokens are told with their log probabilities, and when."""

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
    """Return a reader that reports no alternatives."""
    return VisibleTokensReader(vocabulary, 0)


def tokens(tokenizer: Tokenizer, text: str) -> list[TokenLogprob]:
    """Return a text's tokens, each with a log probability of its own."""
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return [TokenLogprob(token_id, -float(place), []) for place, token_id in enumerate(ids)]


def spelt(shown: list[DecodedToken]) -> bytes:
    """Join what tokens spell."""
    return b"".join(token.bytes for token in shown)


@pytest.mark.parametrize("text", ["A red circle.", "naïve 日本語 😀", "\n\n  two  \t spaces ", "é"])
def test_tokens_spell_the_text_however_it_is_cut(
    text: str, vocabulary: Vocabulary, tokenizer: Tokenizer
) -> None:
    all_tokens = tokens(tokenizer, text)
    for place in range(len(all_tokens) + 1):
        reader = VisibleTokensReader(vocabulary, 0)
        first = b"".join(vocabulary.token_bytes(t.token_id) for t in all_tokens[:place])
        begin = first.decode(errors="ignore")
        shown = list(reader.read(all_tokens[:place], begin, ended=False))
        assert len(begin.encode()) - 4 <= len(spelt(shown)) <= len(begin.encode())
        shown += reader.read(all_tokens[place:], text[len(begin) :], ended=True)
        assert spelt(shown).decode() == text
        assert [token.logprob for token in shown] == [t.logprob for t in all_tokens]


def test_the_parts_of_a_character_wait_for_the_whole(
    reader: VisibleTokensReader, tokenizer: Tokenizer
) -> None:
    parts = tokens(tokenizer, "😀")
    assert len(parts) == 4
    for part in parts[:-1]:
        assert len(list(reader.read([part], "", ended=False))) == 0
    shown = list(reader.read(parts[-1:], "😀", ended=False))
    assert [token.bytes for token in shown] == [b"\xf0", b"\x9f", b"\x98", b"\x80"]
    assert [token.token for token in shown] == ["\ufffd"] * 4


@pytest.mark.parametrize("stop", range(1, 20))
def test_what_a_stop_string_takes_away_is_not_told(
    stop: int, vocabulary: Vocabulary, tokenizer: Tokenizer
) -> None:
    """The token in whose middle the text ends is told, since a part of it is shown."""
    text = "There is a red circle at the top."
    all_tokens = tokens(tokenizer, text)
    reader = VisibleTokensReader(vocabulary, 0)
    shown = list(reader.read(all_tokens, text[:stop], ended=True))
    assert spelt(shown).startswith(text[:stop].encode())
    assert len(spelt(shown[:-1])) < stop


def test_text_that_is_held_back_holds_its_tokens_back(
    reader: VisibleTokensReader, tokenizer: Tokenizer
) -> None:
    text = "There is a red circle."
    all_tokens = tokens(tokenizer, text)
    assert list(reader.read(all_tokens[:-1], "", ended=False)) == []
    assert spelt(list(reader.read(all_tokens[-1:], text, ended=True))).decode() == text


def test_special_tokens_are_not_told(reader: VisibleTokensReader, tokenizer: Tokenizer) -> None:
    (token,) = tokens(tokenizer, "A")
    shown = list(reader.read([token, TokenLogprob(EOS, -1.0, [])], "A", ended=True))
    assert spelt(shown) == b"A"


def test_tokens_of_an_empty_answer_are_not_told(
    reader: VisibleTokensReader, tokenizer: Tokenizer
) -> None:
    assert list(reader.read(tokens(tokenizer, "Never"), "", ended=True)) == []


def test_the_space_that_is_not_shown_is_not_told(
    reader: VisibleTokensReader, tokenizer: Tokenizer
) -> None:
    reader.skip("   ")
    shown = list(reader.read(tokens(tokenizer, "   red circle"), "red circle", ended=True))
    assert spelt(shown) == b"red circle"


def test_a_token_that_is_nothing_but_skipped_is_left_out(
    vocabulary: Vocabulary, tokenizer: Tokenizer
) -> None:
    all_tokens = tokens(tokenizer, "\n red")
    for cut in range(len(all_tokens) + 1):
        reader = VisibleTokensReader(vocabulary, 0)
        reader.skip("\n ")
        shown = list(reader.read(all_tokens[:cut], "", ended=False))
        shown += reader.read(all_tokens[cut:], "red", ended=True)
        assert spelt(shown) == b"red"
        assert shown[0].token == "red"


def test_alternatives_are_cut_to_what_was_asked_for(vocabulary: Vocabulary) -> None:
    top = [(5, -0.5), (6, -1.0), (7, -math.inf)]
    for asked in range(4):
        reader = VisibleTokensReader(vocabulary, asked)
        (shown,) = reader.read([TokenLogprob(7, -math.inf, top)], "#", ended=True)
        expected = [("!", -0.5), ('"', -1.0), ("#", LEAST_LOGPROB)][:asked]
        assert [(each.token, each.logprob) for each in shown.top] == expected
        assert shown.logprob == LEAST_LOGPROB
