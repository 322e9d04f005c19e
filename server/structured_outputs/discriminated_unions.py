"""Rewrites `oneOf` as `anyOf` where a discriminator property makes both mean the same.

llguidance accepts `oneOf` only where types differ. pydantic writes it for discriminated unions.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

# Keywords whose values are data, not schemas.
DATA_KEYWORDS: Final = ("const", "enum", "default", "examples")


def discriminated_oneof_to_anyof(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with `anyOf` for each `oneOf` whose alternatives exclude each other."""
    rewritten = _rewrite(schema, schema)
    return rewritten if isinstance(rewritten, dict) else schema


def _rewrite(value: Any, root: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_rewrite(each, root) for each in value]
    if not isinstance(value, dict):
        return value
    result = {
        key: each if key in DATA_KEYWORDS else _rewrite(each, root) for key, each in value.items()
    }
    alternatives = result.get("oneOf")
    if (
        isinstance(alternatives, list)
        and "anyOf" not in result
        and _are_disjoint(alternatives, root)
    ):
        result["anyOf"] = result.pop("oneOf")
    return result


def _are_disjoint(alternatives: Sequence[Any], root: dict[str, Any]) -> bool:
    """Whether no object can satisfy two of the alternatives."""
    discriminators = [_find_discriminators(_resolve(each, root)) for each in alternatives]
    return all(
        any(not set(one[name]) & set(other[name]) for name in one.keys() & other.keys())
        for one, other in combinations(discriminators, 2)
    )


def _resolve(schema: Any, root: dict[str, Any]) -> Any:
    """Follow one reference to a definition, as pydantic writes it."""
    if not isinstance(schema, dict) or "$ref" not in schema:
        return schema
    _, _, name = str(schema["$ref"]).partition("#/$defs/")
    definitions = root.get("$defs")
    return definitions.get(name) if isinstance(definitions, dict) else None


def _find_discriminators(schema: Any) -> dict[str, list[str]]:
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


def _list_strings(schema: Any) -> list[str]:
    """Return the strings of a `const` or an `enum` that holds nothing else."""
    if not isinstance(schema, dict):
        return []
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return []
    return values
