"""A tokenizer for the tests of training."""

import pytest
from tokenizers import Tokenizer

from training.data.corpus import sample_corpus
from training.model.tokenizer import CachedTokenizer, train_tokenizer


@pytest.fixture(scope="package")
def tokenizer() -> Tokenizer:
    return train_tokenizer(sample_corpus(seed=0, count=100))


@pytest.fixture(scope="package")
def encode(tokenizer: Tokenizer) -> CachedTokenizer:
    return CachedTokenizer(tokenizer)
