"""Refuses grammars that the engine could not use, or not without harm to others."""

import asyncio
import multiprocessing
import signal
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Final

from cachetools import LRUCache
from pebble import ProcessExpired, ProcessPool

from server.errors import InvalidValue
from server.structured_outputs.grammar import GrammarConstraint
from server.structured_outputs.validation_worker import (
    TOO_COMPLEX,
    WALL_S,
    GrammarError,
    start_validation_worker,
    validate_grammar,
)

# Longer than any schema; OpenAI allows 120,000 characters of names and values.
MAX_CHARACTERS: Final = 500_000
# Verdicts that are kept: clients send the same few grammars again and again.
VERDICTS: Final = 1024
# Of a grammar whose workers are killed from outside.
TRIES: Final = 3


class GrammarValidator:
    """Has grammars compiled by a worker process before the engine sees them."""

    def __init__(self, checkpoint: Path) -> None:
        """`checkpoint` is the folder that holds the tokenizer."""
        self._tokenizer = str(checkpoint / "tokenizer.json")
        self._verdicts: LRUCache[str, GrammarError | None] = LRUCache(VERDICTS)
        self._turn = asyncio.Semaphore()
        self._pool = self._new_pool()

    async def check(self, constraint: GrammarConstraint) -> None:
        """Raise `InvalidValue`, naming the field, where the grammar cannot be used."""
        grammar = constraint.grammar
        if len(grammar) > MAX_CHARACTERS:
            raise InvalidValue("This is too large.", constraint.param)
        if grammar not in self._verdicts:
            async with self._turn:
                if grammar not in self._verdicts:
                    self._verdicts[grammar] = await self._prove(grammar)
        flaw = self._verdicts[grammar]
        if flaw is not None:
            raise InvalidValue(f"This cannot be used: {flaw.reason}.", constraint.param)

    def close(self) -> None:
        """End the worker."""
        self._pool.stop()
        self._pool.join()

    async def _prove(self, grammar: str) -> GrammarError | None:
        """Let a worker judge. One that is killed from outside says nothing about the grammar."""
        for _ in range(TRIES):
            try:
                proving = self._pool.schedule(validate_grammar, args=[grammar], timeout=WALL_S)
                verdict: GrammarError | None = await asyncio.shield(asyncio.wrap_future(proving))
            except TimeoutError:
                return TOO_COMPLEX
            except ProcessExpired as expired:
                if expired.exitcode != -signal.SIGKILL:
                    return TOO_COMPLEX
            except (BrokenProcessPool, RuntimeError):
                self._pool.stop()
                self._pool = self._new_pool()
            else:
                return verdict
        return TOO_COMPLEX

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=1,
            initializer=start_validation_worker,
            initargs=[self._tokenizer],
            context=multiprocessing.get_context("spawn"),
        )
