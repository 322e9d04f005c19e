"""Rewrites `oneOf`, which the grammar's compiler accepts only where types differ."""

from collections.abc import Sequence
from typing import Any

from server.structured_outputs.references import resolve_reference
from server.structured_outputs.subschemas import Schema, map_subschemas


def discriminated_oneof_to_anyof(schema: Schema) -> Schema:
    """Return the schema with `anyOf` for each `oneOf` whose alternatives exclude each other.

    A discriminator property makes both mean the same; pydantic writes `oneOf` for discriminated
    unions.
    """
    return _rewrite(schema, schema)


def _rewrite(schema: Schema, root: Schema) -> Schema:
    result = map_subschemas(schema, lambda each: _rewrite(each, root))
    alternatives = result.get("oneOf")
    if (
        isinstance(alternatives, list)
        and "anyOf" not in result
        and _are_disjoint(alternatives, root)
    ):
        result["anyOf"] = result.pop("oneOf")
    return result


def _are_disjoint(alternatives: Sequence[Any], root: Schema) -> bool:
    """Whether a property that all alternatives require tells them apart."""
    discriminators = [_find_discriminators(resolve_reference(each, root)) for each in alternatives]
    if not discriminators:
        return False
    shared = set.intersection(*(set(each) for each in discriminators))
    return any(_has_no_repeats([each[name] for each in discriminators]) for name in shared)


def _has_no_repeats(sets: Sequence[set[str]]) -> bool:
    return len(set().union(*sets)) == sum(map(len, sets))


def _find_discriminators(schema: Any) -> dict[str, set[str]]:
    """Map each required property of an object that only admits certain strings to these."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return {}
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return {}
    return {
        name: strings
        for name in required
        if isinstance(name, str) and (strings := _list_strings(properties.get(name)))
    }


def _list_strings(schema: Any) -> set[str]:
    """Return the strings of a `const` or an `enum` that holds nothing else."""
    if not isinstance(schema, dict):
        return set()
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return set()
    return set(values)
