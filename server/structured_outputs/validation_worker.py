"""Compiles a grammar as the engine will, in a worker process that may hang or die of it."""

import random
import time
from dataclasses import dataclass
from itertools import chain
from typing import Final

from llguidance import LLMatcher, LLTokenizer, grammar_from

from server.workers.confinement import confine, limit_cpu

# A schema of OpenAI's largest size takes a few MiB and milliseconds.
MEMORY_BYTES: Final = 512 * 1024 * 1024
CPU_S: Final = 2
WALL_S: Final = 10.0
# The engine compiles it again, beside its work for everybody.
COMPILATION_S: Final = 1.0
NICENESS: Final = 5
STANDARD_STREAMS: Final = 3
# Tokens of the sentence that is tried: what compiles may still become too complex when it is used.
TRIED_TOKENS: Final = 32
# How much of the compiler's own complaint a client gets to see.
MAX_COMPLAINT: Final = 300
# What it says where no token can come next.
DEAD_END: Final = ("NoExtension", "NoExtensionBias")

_tokenizer: LLTokenizer | None = None


@dataclass(frozen=True, slots=True)
class GrammarError:
    """Why a grammar cannot be used."""

    reason: str


TOO_COMPLEX: Final = GrammarError("it is too large or too complex")
UNSATISFIABLE: Final = GrammarError("nothing satisfies it")


def start_validation_worker(tokenizer: str) -> None:
    """Prepare a worker process; `tokenizer` is the path of the checkpoint's `tokenizer.json`."""
    global _tokenizer  # a worker's only state
    _tokenizer = LLTokenizer(tokenizer)
    confine(memory_bytes=MEMORY_BYTES, open_files=STANDARD_STREAMS, niceness=NICENESS)


def validate_grammar(grammar: str) -> GrammarError | None:
    """Compile a grammar and begin a sentence of it."""
    limit_cpu(CPU_S)
    assert _tokenizer is not None  # noqa: S101 - the pool has called start_prover
    try:
        source = grammar_from("grammar", grammar)
    except ValueError:
        return GrammarError("it is not a grammar")
    begun = time.process_time()
    matcher = LLMatcher(_tokenizer, source, log_level=0)
    if not matcher.is_error():
        matcher.compute_bitmask()
    if matcher.is_error():
        return _flaw(matcher) or GrammarError(_complaint(matcher.get_error()))
    if time.process_time() - begun > COMPILATION_S:
        return TOO_COMPLEX
    _try_sentence(matcher)
    return (_flaw(matcher) or TOO_COMPLEX) if matcher.is_error() else None


def _try_sentence(matcher: LLMatcher) -> None:
    """Go on with a sentence, of tokens drawn alike each time."""
    draw = random.Random(0)  # noqa: S311 - nobody is to be surprised
    for _ in range(TRIED_TOKENS):
        allowed = matcher.compute_bitmask()
        if matcher.is_stopped() or not any(allowed):
            break
        matcher.consume_token(_draw_token(allowed, draw))


def _draw_token(allowed: bytes, draw: random.Random) -> int:
    """Return one of the tokens whose bits are set."""
    first = draw.randrange(len(allowed))
    places = chain(range(first, len(allowed)), range(first))
    place = next(place for place in places if allowed[place])
    return place * 8 + draw.choice([bit for bit in range(8) if (allowed[place] >> bit) & 1])


def _flaw(matcher: LLMatcher) -> GrammarError | None:
    reason = matcher.get_error().split("\n", 1)[0]
    return UNSATISFIABLE if reason in DEAD_END else None


def _complaint(error: str) -> str:
    """Return the one line that says what is wrong, without where in our own text that is."""
    line = error.split("\n", 1)[0]
    if "coerce_one_of" in line:  # an option of the compiler, which clients do not have
        return "alternatives of 'oneOf' may overlap; use 'anyOf'"
    _, _, reason = line.rpartition("failed to compile JSON schema: ")
    return reason[:MAX_COMPLAINT].rstrip(":")
