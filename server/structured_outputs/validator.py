"""Refuses grammars that the engine cannot compile or that would delay other requests."""

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from cachetools import LRUCache
from pebble import ProcessExpired

from server.concurrency import run_in_thread_if_large
from server.errors import InvalidValue
from server.protocol.json_size import MAX_JSON_CHARACTERS, count_json_characters
from server.structured_outputs.pruning_worker import (
    PrunedSchema,
    prune_schemas,
    start_grammar_worker,
)
from server.structured_outputs.request_schema import PrunedRules, RequestSchema
from server.structured_outputs.schema import MAX_INLINE_SCHEMA_CHARACTERS
from server.structured_outputs.validation_worker import (
    TOO_COMPLEX,
    WALL_S,
    GrammarError,
    validate_grammar,
)
from server.workers.worker_pool import KILLED, WorkerPool

# Results that are cached: clients send the same few grammars again and again.
CACHED_RESULTS: Final = 1024
# Requests whose pruned schemas are cached, each of up to half a MiB.
CACHED_SCHEMAS: Final = 64

Argument = TypeVar("Argument")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class GrammarConstraint:
    """A grammar that constrains the generated text, in llguidance's Lark or in GBNF.

    `param` is the request field that an error of the grammar names. `schemas` are those that the
    grammar was built from.
    """

    grammar: str
    param: str
    schemas: Sequence[RequestSchema] = ()


class GrammarValidator:
    """Compiles grammars in a worker process before the engine sees them.

    Results are cached for each `cache_partition`: their timing must not reveal to a client which
    grammars others use.
    """

    def __init__(self, checkpoint: Path) -> None:
        """`checkpoint` is the folder that holds the tokenizer."""
        self._results: LRUCache[bytes, GrammarError | None] = LRUCache(CACHED_RESULTS)
        self._pruned: LRUCache[bytes, list[PrunedSchema] | GrammarError] = LRUCache(CACHED_SCHEMAS)
        # Concurrent requests with the same grammar share one validation.
        self._lock = asyncio.Lock()
        self._pool = WorkerPool(1, start_grammar_worker, [str(checkpoint / "tokenizer.json")])

    async def validate(self, constraint: GrammarConstraint, cache_partition: str) -> None:
        """Raise `InvalidValue`, naming the field, if the grammar cannot be used."""
        if len(constraint.grammar) > MAX_JSON_CHARACTERS:
            raise InvalidValue("This is too large.", constraint.param)
        key = _compute_digest([cache_partition, constraint.grammar])
        error = await self._compute(self._results, key, validate_grammar, constraint.grammar)
        if error is not None:
            raise _build_refusal(error, constraint.param)

    async def prune(self, constraint: GrammarConstraint, cache_partition: str) -> PrunedRules:
        """Return the rules of the constraint's schemas, without unenforceable keywords.

        Raises `InvalidValue`, naming the schema's field, if a strict schema has such keywords or
        the rest cannot be used either.
        """
        schemas = constraint.schemas
        texts = await _dump_schemas(schemas)
        if sum(map(len, texts)) > MAX_JSON_CHARACTERS:
            raise InvalidValue("This is too large.", constraint.param)
        key = _compute_digest([cache_partition, *texts])
        pruned = await self._compute(self._pruned, key, prune_schemas, texts)
        if isinstance(pruned, GrammarError):
            raise _build_refusal(pruned, constraint.param)
        for schema, result in zip(schemas, pruned, strict=True):
            _check_pruned(schema, result)
        return {schema.param: each.rule for schema, each in zip(schemas, pruned, strict=True)}

    def close(self) -> None:
        """End the worker."""
        self._pool.close()

    async def _compute(
        self,
        cache: LRUCache[bytes, Result | GrammarError],
        key: bytes,
        function: Callable[[Argument], Result],
        argument: Argument,
    ) -> Result | GrammarError:
        """Call a function in the worker, once for each key: the argument's digest."""
        if key not in cache:
            async with self._lock:
                if key not in cache:
                    result, is_certain = await self._call(function, argument)
                    if not is_certain:
                        return result
                    cache[key] = result
        return cache[key]

    async def _call(
        self, function: Callable[[Argument], Result], argument: Argument
    ) -> tuple[Result | GrammarError, bool]:
        """Return the result and whether it is certain.

        An argument that kills the worker is too complex. A timeout may be due to a busy machine,
        and a kill may come from outside, so these results must not be cached.
        """
        try:
            return await self._pool.run(function, argument, timeout_s=WALL_S), True
        except TimeoutError:
            return TOO_COMPLEX, False
        except ProcessExpired as expired:
            return TOO_COMPLEX, expired.exitcode not in KILLED
        except (BrokenProcessPool, RecursionError):
            return TOO_COMPLEX, True


def _compute_digest(texts: Sequence[str]) -> bytes:
    digests = (sha256(text.encode(errors="surrogatepass")).digest() for text in texts)
    return sha256(b"".join(digests)).digest()


async def _dump_schemas(schemas: Sequence[RequestSchema]) -> tuple[str, ...]:
    return await run_in_thread_if_large(
        sum(count_json_characters(each.schema) for each in schemas),
        MAX_INLINE_SCHEMA_CHARACTERS,
        lambda: tuple(json.dumps(each.schema) for each in schemas),
    )


def _check_pruned(schema: RequestSchema, pruned: PrunedSchema) -> None:
    """Raise `InvalidValue` if a schema cannot be used, or not as strictly as requested."""
    if pruned.error is not None and (pruned.unenforceable is None or not schema.strict):
        raise _build_refusal(pruned.error, schema.param)
    if schema.strict and pruned.unenforceable is not None:
        raise InvalidValue(
            f"This cannot be used: {pruned.unenforceable} cannot be enforced. "
            f"{_suggest_remedy(schema.param)}",
            schema.param,
        )


def _suggest_remedy(param: str) -> str:
    if param.startswith("tools"):
        return "Leave it out, or leave out 'strict'."
    return "Leave it out and describe it in the prompt."


def _build_refusal(error: GrammarError, param: str) -> InvalidValue:
    return InvalidValue(f"This cannot be used: {error.reason}.", param)
