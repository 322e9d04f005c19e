"""Refuses grammars that the engine cannot compile or that would delay other requests."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cachetools import LRUCache

from server.errors import InvalidValue
from server.protocol.json_size import MAX_JSON_CHARACTERS
from server.structured_outputs.validation_worker import (
    TOO_COMPLEX,
    WALL_S,
    GrammarError,
    start_validation_worker,
    validate_grammar,
)
from server.workers.worker_pool import WorkerPool
from server.workers.worker_process import WORKER_FAILURES

# Results that are cached: clients send the same few grammars again and again.
CACHED_RESULTS: Final = 1024


@dataclass(frozen=True, slots=True)
class GrammarConstraint:
    """A grammar that constrains the generated text, in llguidance's Lark or in GBNF.

    `param` is the request field that an error of the grammar names.
    """

    grammar: str
    param: str


class GrammarValidator:
    """Compiles grammars in a worker process before the engine sees them."""

    def __init__(self, checkpoint: Path) -> None:
        """`checkpoint` is the folder that holds the tokenizer."""
        self._results: LRUCache[str, GrammarError | None] = LRUCache(CACHED_RESULTS)
        # Concurrent requests with the same grammar share one validation.
        self._lock = asyncio.Lock()
        self._pool = WorkerPool(1, start_validation_worker, [str(checkpoint / "tokenizer.json")])

    async def validate(self, constraint: GrammarConstraint) -> None:
        """Raise `InvalidValue`, naming the field, where the grammar cannot be used."""
        grammar = constraint.grammar
        if len(grammar) > MAX_JSON_CHARACTERS:
            raise InvalidValue("This is too large.", constraint.param)
        if grammar not in self._results:
            async with self._lock:
                if grammar not in self._results:
                    self._results[grammar] = await self._compile(constraint)
        error = self._results[grammar]
        if error is not None:
            raise _build_refusal(error, constraint)

    def close(self) -> None:
        """End the worker."""
        self._pool.close()

    async def _compile(self, constraint: GrammarConstraint) -> GrammarError | None:
        """Compile a grammar in the worker; one that it does not survive is too complex.

        Raises `InvalidValue` where the time is over: the cause may be a stopped worker or a busy
        machine rather than the grammar, so this result must not be cached.
        """
        try:
            return await self._pool.run(validate_grammar, constraint.grammar, timeout_s=WALL_S)
        except TimeoutError:
            raise _build_refusal(TOO_COMPLEX, constraint) from None
        except WORKER_FAILURES:
            return TOO_COMPLEX


def _build_refusal(error: GrammarError, constraint: GrammarConstraint) -> InvalidValue:
    return InvalidValue(f"This cannot be used: {error.reason}.", constraint.param)
