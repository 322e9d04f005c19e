"""Drops what a grammar cannot enforce from schemas, in the worker that compiles grammars."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from server.structured_outputs.ignored_keywords import drop_ignored_keywords
from server.structured_outputs.pruning import drop_keywords
from server.structured_outputs.schema import build_json_rule
from server.structured_outputs.subschemas import Schema
from server.structured_outputs.unenforceable import (
    Finding,
    find_overlapping_one_of,
    find_unenforceable,
)
from server.structured_outputs.validation_worker import (
    CPU_S,
    MAX_REASON,
    GrammarError,
    compile_grammar,
    start_validation_worker,
)
from server.workers.confinement import limit_cpu


@dataclass(frozen=True, slots=True)
class PrunedSchema:
    """The rule of a schema without the keywords that cannot be enforced.

    `unenforceable` is the first such keyword and its JSON pointer, None if there is none. `error`
    is the reason why the rest cannot be used either.
    """

    rule: str
    unenforceable: str | None = None
    error: GrammarError | None = None


def start_grammar_worker(tokenizer: str) -> None:
    """Prepare a worker process for this module's functions and `validate_grammar`.

    A confined process can import nothing later. `tokenizer` is the path of `tokenizer.json`.
    """
    start_validation_worker(tokenizer)


def prune_schemas(schemas: Sequence[str]) -> list[PrunedSchema]:
    """Drop what cannot be enforced from schemas, which are JSON text."""
    limit_cpu(CPU_S)
    return [_prune(json.loads(schema)) for schema in schemas]


def _prune(schema: Schema) -> PrunedSchema:
    compile_once = cache(_compile)  # schemas repeat fragments

    def find_reason(fragment: Schema) -> str | None:
        error = compile_once(build_json_rule(fragment))
        return error.reason if error is not None else None

    findings = list(find_unenforceable(drop_ignored_keywords(schema), find_reason))
    invalid = next((each for each in findings if each.invalid), None)
    if invalid is not None:
        return PrunedSchema("", error=GrammarError(f"{_locate(invalid)}: {invalid.invalid}"))
    pruned = drop_keywords(schema, findings)
    error = _compile(build_json_rule(pruned))
    if error is not None:
        overlaps = list(find_overlapping_one_of(drop_ignored_keywords(pruned), find_reason))
        pruned, findings = drop_keywords(pruned, overlaps), findings + overlaps
        error = _compile(build_json_rule(pruned))
    unenforceable = _locate(findings[0]) if findings else None
    return PrunedSchema(build_json_rule(pruned), unenforceable, error)


def _compile(rule: str) -> GrammarError | None:
    matcher = compile_grammar(f"%llguidance {{}}\nstart: {rule}\n")
    return matcher if isinstance(matcher, GrammarError) else None


def _locate(finding: Finding) -> str:
    return f"'{finding.keyword}' at '{finding.location[:MAX_REASON]}'"
