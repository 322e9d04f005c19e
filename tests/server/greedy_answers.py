"""Greedy answers of transformers' models, of words only."""

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer


def list_word_ids(tokenizer: Tokenizer) -> list[int]:
    """Return the tokens of letters, whose texts join without special cases, bytes and spaces."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[token] for token in vocabulary if token.isascii() and token.isalpha()]


def answer_with_words(model: Any, inputs: Any, num_tokens: int, tokenizer: Tokenizer) -> str:
    """Return the text of so many greedy tokens, whatever ends an answer."""
    words: Sequence[int] = list_word_ids(tokenizer)
    with torch.inference_mode():
        generated = model.generate(
            **inputs,
            do_sample=False,
            min_new_tokens=num_tokens,
            max_new_tokens=num_tokens,
            eos_token_id=None,
            suppress_tokens=sorted(set(range(tokenizer.get_vocab_size())) - set(words)),
        )
    answer: list[int] = generated[0, inputs["input_ids"].shape[1] :].tolist()
    return tokenizer.decode(answer)
