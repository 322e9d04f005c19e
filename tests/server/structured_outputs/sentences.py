"""Sentences of grammars, drawn token by token from the tokens that a grammar allows next."""

import random

import numpy as np
from llguidance import LLMatcher, LLTokenizer, grammar_from

from model_store.store import find_model

TOKENIZER = LLTokenizer(str(find_model("llava-tiny") / "tokenizer.json"))

# Bytes that close JSON values and calls.
CLOSING = b'"}],'


def compile_grammar(grammar: str) -> LLMatcher:
    """Compile a grammar."""
    return LLMatcher(TOKENIZER, grammar_from("grammar", grammar), log_level=0)


def accepts(grammar: str, text: str) -> bool:
    """Whether a text is a complete sentence of a grammar."""
    matcher = compile_grammar(grammar)
    assert not matcher.is_error(), matcher.get_error()
    tokens = [TOKENIZER.tokenize_bytes(bytes([byte]))[0] for byte in text.encode()]
    return matcher.consume_tokens(tokens) and matcher.is_accepting()


def draw_sentence(grammar: str, rng: random.Random, limit: int = 250) -> str | None:
    """Draw a sentence of at most `limit` tokens; None if it has not ended by then."""
    matcher = compile_grammar(grammar)
    text = b""
    for _ in range(limit):
        allowed = _list_allowed(matcher)
        assert not matcher.is_error(), matcher.get_error()
        done = matcher.is_accepting()
        if done and (matcher.is_stopped() or not allowed or rng.random() < 0.3):
            return text.decode()
        assert allowed, f"a dead end after {text!r}"
        token = _draw_token(allowed, rng)
        assert matcher.consume_token(token)
        text += TOKENIZER.decode_bytes([token])
    return None


def _list_allowed(matcher: LLMatcher) -> list[int]:
    bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
    tokens = np.flatnonzero(np.unpackbits(bits, bitorder="little")[: TOKENIZER.vocab_size])
    return [int(token) for token in tokens if token != TOKENIZER.eos_token]


def _draw_token(allowed: list[int], rng: random.Random) -> int:
    closing = [token for token in allowed if TOKENIZER.decode_bytes([token])[0] in CLOSING]
    return rng.choice(closing if closing and rng.random() < 0.5 else allowed)
