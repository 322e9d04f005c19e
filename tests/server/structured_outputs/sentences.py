"""Sentences of grammars, drawn token by token from what the grammar allows next."""

import random

import numpy as np
from llguidance import LLMatcher, LLTokenizer, grammar_from

from model_store.store import find_model

TOKENIZER = LLTokenizer(str(find_model("llava-tiny") / "tokenizer.json"))

# Bytes that bring JSON and calls to an end.
CLOSING = b'"}],'


def matcher(grammar: str) -> LLMatcher:
    """Compile a grammar."""
    return LLMatcher(TOKENIZER, grammar_from("grammar", grammar), log_level=0)


def accepts(grammar: str, text: str) -> bool:
    """Tell whether a text is a whole sentence."""
    matching = matcher(grammar)
    assert not matching.is_error(), matching.get_error()
    tokens = [TOKENIZER.tokenize_bytes(bytes([byte]))[0] for byte in text.encode()]
    return matching.consume_tokens(tokens) and matching.is_accepting()


def sentence(grammar: str, draw: random.Random, limit: int = 250) -> str | None:
    """Draw a sentence of at most `limit` tokens; None if it had not ended by then."""
    matching = matcher(grammar)
    spelt = b""
    for _ in range(limit):
        allowed = _allowed(matching)
        assert not matching.is_error(), matching.get_error()
        done = matching.is_accepting()
        if done and (matching.is_stopped() or not allowed or draw.random() < 0.3):
            return spelt.decode()
        assert allowed, f"a dead end after {spelt!r}"
        token = _drawn(allowed, draw)
        assert matching.consume_token(token)
        spelt += TOKENIZER.decode_bytes([token])
    return None


def _allowed(matching: LLMatcher) -> list[int]:
    bits = np.frombuffer(matching.compute_bitmask(), dtype=np.uint8)
    tokens = np.flatnonzero(np.unpackbits(bits, bitorder="little")[: TOKENIZER.vocab_size])
    return [int(token) for token in tokens if token != TOKENIZER.eos_token]


def _drawn(allowed: list[int], draw: random.Random) -> int:
    closing = [token for token in allowed if TOKENIZER.decode_bytes([token])[0] in CLOSING]
    return draw.choice(closing if closing and draw.random() < 0.5 else allowed)
