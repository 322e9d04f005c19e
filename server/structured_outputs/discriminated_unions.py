"""`oneOf` where a property tells the alternatives apart, which is then the same as `anyOf`.

llguidance takes `oneOf` only where types differ. pydantic writes it for discriminated unions.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

# What stands there is no schema.
DATA: Final = ("const", "enum", "default", "examples")


def discriminated_oneof_to_anyof(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with `anyOf` for each `oneOf` of which at most one alternative can fit."""
    rewritten = _rewritten(schema, schema)
    return rewritten if isinstance(rewritten, dict) else schema


def _rewritten(value: Any, root: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_rewritten(each, root) for each in value]
    if not isinstance(value, dict):
        return value
    result = {key: each if key in DATA else _rewritten(each, root) for key, each in value.items()}
    alternatives = result.get("oneOf")
    if isinstance(alternatives, list) and "anyOf" not in result and _exclude(alternatives, root):
        result["anyOf"] = result.pop("oneOf")
    return result


def _exclude(alternatives: Sequence[Any], root: dict[str, Any]) -> bool:
    """Tell whether all objects that fit one alternative differ from all that fit another."""
    marks = [_marks(_resolved(each, root)) for each in alternatives]
    return all(
        any(not set(one[name]) & set(other[name]) for name in one.keys() & other.keys())
        for one, other in combinations(marks, 2)
    )


def _resolved(schema: Any, root: dict[str, Any]) -> Any:
    """Follow one reference to a definition, as pydantic writes it."""
    if not isinstance(schema, dict) or "$ref" not in schema:
        return schema
    _, _, name = str(schema["$ref"]).partition("#/$defs/")
    definitions = root.get("$defs")
    return definitions.get(name) if isinstance(definitions, dict) else None


def _marks(schema: Any) -> dict[str, list[str]]:
    """Return the texts that each required property of an object may have, where they are listed."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return {}
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return {}
    return {
        name: texts
        for name in required
        if isinstance(name, str) and (texts := _texts(properties.get(name)))
    }


def _texts(schema: Any) -> list[str]:
    """Return the values of a schema that admits only certain texts."""
    if not isinstance(schema, dict):
        return []
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return []
    return values
