"""Compiles grammars like the engine, in a worker process, which a grammar may hang or kill."""

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
# CPU seconds of a compilation: the engine repeats it while all other requests wait.
COMPILATION_S: Final = 1.0
NICENESS: Final = 5
STANDARD_STREAMS: Final = 3
# Length of a trial sentence: a grammar that compiles may still become too complex in use.
NUM_TRIAL_TOKENS: Final = 32
# Characters of the compiler's message, or of a schema's location, that a client gets.
MAX_REASON: Final = 300
# The compiler's messages if no token can come next.
DEAD_END: Final = ("NoExtension", "NoExtensionBias")

_tokenizer: LLTokenizer | None = None


@dataclass(frozen=True, slots=True)
class GrammarError:
    """The reason that a grammar cannot be used."""

    reason: str


TOO_COMPLEX: Final = GrammarError("it is too large or too complex")
UNSATISFIABLE: Final = GrammarError("nothing satisfies it")


def start_validation_worker(tokenizer: str) -> None:
    """Prepare a worker process; `tokenizer` is the path of the checkpoint's `tokenizer.json`."""
    global _tokenizer  # a worker's only state
    _tokenizer = LLTokenizer(tokenizer)
    confine(memory_bytes=MEMORY_BYTES, open_files=STANDARD_STREAMS, niceness=NICENESS)


def validate_grammar(grammar: str) -> GrammarError | None:
    """Compile a grammar and generate the beginning of a sentence; return the error, if any."""
    limit_cpu(CPU_S)
    started = time.process_time()
    matcher = compile_grammar(grammar)
    if isinstance(matcher, GrammarError):
        return matcher
    if time.process_time() - started > COMPILATION_S:
        return TOO_COMPLEX
    _generate_sentence(matcher)
    return (_find_dead_end(matcher) or TOO_COMPLEX) if matcher.is_error() else None


def compile_grammar(grammar: str) -> LLMatcher | GrammarError:
    """Compile a grammar and compute the first tokens; return the error, if any."""
    assert _tokenizer is not None  # noqa: S101 - the pool has called start_validation_worker
    try:
        source = grammar_from("grammar", grammar)
    except ValueError:
        return GrammarError("it is not a grammar")
    matcher = LLMatcher(_tokenizer, source, log_level=0)
    if not matcher.is_error():
        matcher.compute_bitmask()
    if matcher.is_error():
        return _find_dead_end(matcher) or GrammarError(_extract_reason(matcher.get_error()))
    return matcher


def _generate_sentence(matcher: LLMatcher) -> None:
    """Generate the beginning of a sentence from random tokens with a fixed seed."""
    rng = random.Random(0)  # noqa: S311 - needs no secrecy
    for _ in range(NUM_TRIAL_TOKENS):
        allowed = matcher.compute_bitmask()
        if matcher.is_stopped() or not any(allowed):
            break
        matcher.consume_token(_draw_token(allowed, rng))


def _draw_token(allowed: bytes, rng: random.Random) -> int:
    """Return one of the tokens whose bits are set."""
    first = rng.randrange(len(allowed))
    places = chain(range(first, len(allowed)), range(first))
    place = next(place for place in places if allowed[place])
    return place * 8 + rng.choice([bit for bit in range(8) if (allowed[place] >> bit) & 1])


def _find_dead_end(matcher: LLMatcher) -> GrammarError | None:
    reason = matcher.get_error().split("\n", 1)[0]
    return UNSATISFIABLE if reason in DEAD_END else None


def _extract_reason(error: str) -> str:
    """Return the reason, without the position in a grammar that the client never saw."""
    line = error.split("\n", 1)[0]
    if "coerce_one_of" in line:  # a compiler option that clients do not have
        return "alternatives of 'oneOf' may overlap; use 'anyOf'"
    _, _, reason = line.rpartition("failed to compile JSON schema: ")
    return reason[:MAX_REASON].rstrip(":")
