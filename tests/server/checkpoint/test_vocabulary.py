"""The bytes of the embedded model's tokens."""

import pytest
from tokenizers import Tokenizer

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.errors import InvalidValue
from server.prompt.token_ids import check_sampling_token_ids
from server.protocol.sampling import SamplingFields


@pytest.fixture
def vocabulary(checkpoint: Checkpoint) -> Vocabulary:
    """Return the embedded model's vocabulary."""
    return Vocabulary(checkpoint.path)


def test_bytes_of_tokens_join_to_the_text(vocabulary: Vocabulary, tokenizer: Tokenizer) -> None:
    for text in ("A red circle.", "naïve 日本語 😀\n\t", "".join(map(chr, range(32, 400)))):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert b"".join(map(vocabulary.token_bytes, ids)).decode() == text


def test_it_is_the_tokenizers(vocabulary: Vocabulary, tokenizer: Tokenizer) -> None:
    assert vocabulary.size == tokenizer.get_vocab_size()
    special = {id_ for id_, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    assert special
    special_ids = {each for each in range(vocabulary.size) if vocabulary.is_special(each)}
    # The byte 0xFF is held for a mark of special tokens; no text in UTF-8 has it.
    assert all(vocabulary.token_bytes(each) == b"" for each in special_ids - special)
    assert special <= special_ids


def test_rows_of_the_model_without_a_token_are_never_shown(vocabulary: Vocabulary) -> None:
    assert vocabulary.is_special(vocabulary.size)
    assert not vocabulary.is_special(vocabulary.size - 1)


@pytest.mark.parametrize("param", ["logit_bias", "stop_token_ids"])
def test_tokens_that_do_not_exist(param: str, vocabulary: Vocabulary) -> None:
    def request(token_id: int) -> SamplingFields:
        if param == "logit_bias":
            return SamplingFields(logit_bias={0: 1.0, token_id: 1.0})
        return SamplingFields(stop_token_ids=[0, token_id])

    check_sampling_token_ids(request(vocabulary.size - 1), vocabulary.size)
    with pytest.raises(InvalidValue) as caught:
        check_sampling_token_ids(request(vocabulary.size), vocabulary.size)
    assert caught.value.param == param
    assert f"from 0 to {vocabulary.size - 1}" in caught.value.message


def test_no_tokens_are_no_fault(vocabulary: Vocabulary) -> None:
    check_sampling_token_ids(SamplingFields(), vocabulary.size)
