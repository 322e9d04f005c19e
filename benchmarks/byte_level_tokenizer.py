"""Byte-level BPE tokenizers like Qwen's, of any size."""

import json
from collections.abc import Mapping
from typing import Any, Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from benchmarks.requests import build_question

TRAINED_TOKENS: Final = 2000
TRAINING_QUESTIONS: Final = 2000
# Qwen2's way to split text before merging.
WORDS: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def build_byte_level_tokenizer(specials: Mapping[str, int]) -> Tokenizer:
    """Train on the load's questions, and fill all ids below the largest of the special tokens.

    Nothing is encoded as one of the filling tokens; they are the text of a random model's answers.
    """
    ids = sorted(set(range(max(specials.values()))) - set(specials.values()))
    model = _train(min(TRAINED_TOKENS, len(ids)))
    known = sorted(model["vocab"], key=model["vocab"].get)
    tokens = [*known, *(f"Ġw{number}" for number in ids[len(known) :])]
    vocabulary = dict(zip(tokens, ids, strict=True)) | dict(specials)
    tokenizer = _create_tokenizer(BPE(vocabulary, [tuple(pair) for pair in model["merges"]]))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in specials])
    return tokenizer


def _train(size: int) -> Any:
    """Return the model of a trained tokenizer in JSON's form."""
    tokenizer = _create_tokenizer(BPE())
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(map(build_question, range(TRAINING_QUESTIONS)), trainer)
    return json.loads(tokenizer.to_str())["model"]


def _create_tokenizer(model: BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
