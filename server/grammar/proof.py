"""Compiles a grammar as the engine will, in a worker process that may hang or die of it."""

import time
from dataclasses import dataclass
from typing import Final

from llguidance import LLMatcher, LLTokenizer, grammar_from

from server.confinement import confine, limit_cpu

# A schema of OpenAI's largest size takes a few MiB and milliseconds.
MEMORY_BYTES: Final = 512 * 1024 * 1024
CPU_S: Final = 2
WALL_S: Final = 10.0
# The engine compiles it again, beside its work for everybody.
COMPILATION_S: Final = 1.0
NICENESS: Final = 5
STANDARD_STREAMS: Final = 3
# How much of the compiler's own complaint a client gets to see.
MAX_COMPLAINT: Final = 300

_tokenizer: LLTokenizer | None = None


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a grammar cannot be used."""

    reason: str


TOO_COMPLEX: Final = Flaw("it is too large or too complex")


def start_prover(tokenizer: str) -> None:
    """Prepare a worker process; `tokenizer` is the path of the checkpoint's `tokenizer.json`."""
    global _tokenizer  # a worker's only state
    _tokenizer = LLTokenizer(tokenizer)
    confine(memory_bytes=MEMORY_BYTES, open_files=STANDARD_STREAMS, niceness=NICENESS)


def prove(grammar: str) -> Flaw | None:
    """Compile a grammar and compute what may begin a sentence of it."""
    limit_cpu(CPU_S)
    assert _tokenizer is not None  # noqa: S101 - the pool has called start_prover
    try:
        source = grammar_from("grammar", grammar)
    except ValueError:
        return Flaw("it is not a grammar")
    begun = time.process_time()
    matcher = LLMatcher(_tokenizer, source, log_level=0)
    if not matcher.is_error():
        matcher.compute_bitmask()
    if matcher.is_error():
        return Flaw(_complaint(matcher.get_error()))
    return TOO_COMPLEX if time.process_time() - begun > COMPILATION_S else None


def _complaint(error: str) -> str:
    """Return the one line that says what is wrong, without where in our own text that is."""
    line = error.split("\n", 1)[0]
    _, _, reason = line.rpartition("failed to compile JSON schema: ")
    return reason[:MAX_COMPLAINT]
