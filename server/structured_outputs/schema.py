"""Rules for JSON that satisfies a client's schema.

The schema is bounded in depth, rewritten for the grammar's compiler and narrowed.
"""

import json
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

from server.errors import InvalidValue
from server.structured_outputs.narrowing import build_any_object_schema, narrow_schema

# vLLM's own limit; OpenAI allows 10 levels of objects, each of which takes two here.
MAX_DEPTH: Final = 64
# One space or none after commas and colons; weak models generate white space without end.
WHITE_SPACE: Final = {
    "whitespace_flexible": False,
    "item_separator": ", ?",
    "key_separator": ": ?",
}
# Keywords whose values are data, not schemas.
DATA_KEYWORDS: Final = ("const", "enum", "default", "examples")


def build_json_rule(schema: dict[str, Any] | None, param: str, char_budget: int) -> str:
    """Return the rule of JSON that satisfies a schema, or of any JSON object if it is None.

    `char_budget` is the approximate length of the JSON. Raises `InvalidValue`, naming `param`.
    """
    prepared = prepare_schema(schema, param, char_budget)
    return "%json " + json.dumps({**prepared, "x-guidance": WHITE_SPACE})


def prepare_schema(schema: dict[str, Any] | None, param: str, char_budget: int) -> dict[str, Any]:
    """Return the schema that the compiler gets for a client's schema, None for any object.

    `char_budget` is the approximate length of the JSON. Raises `InvalidValue`, naming `param`.
    """
    if schema is None:
        return build_any_object_schema(char_budget)
    check_nesting(schema, param)
    rewritten = discriminated_oneof_to_anyof(schema)
    return narrow_schema(rewritten, char_budget)


def check_nesting(schema: dict[str, Any], param: str) -> None:
    """Raise `InvalidValue`, naming `param`, where objects and lists are nested too deeply.

    All that walks a schema does so by recursion.
    """
    level: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _list_children(node)]
        if not level:
            return
    raise InvalidValue(f"The schema is nested more than {MAX_DEPTH} levels deep.", param)


def discriminated_oneof_to_anyof(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with `anyOf` for each `oneOf` whose alternatives exclude each other.

    A discriminator property makes both mean the same. llguidance accepts `oneOf` only where types
    differ; pydantic writes it for discriminated unions.
    """
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
    discriminators = [_find_discriminators(_resolve_reference(each, root)) for each in alternatives]
    return all(
        any(not set(one[name]) & set(other[name]) for name in one.keys() & other.keys())
        for one, other in combinations(discriminators, 2)
    )


def _resolve_reference(schema: Any, root: dict[str, Any]) -> Any:
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


def _list_children(node: Any) -> list[Any]:
    children = node.values() if isinstance(node, dict) else node
    return [child for child in children if isinstance(child, dict | list)]
