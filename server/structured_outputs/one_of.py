"""Rewrites `oneOf`, which the grammar compiler accepts only if the types differ."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from server.structured_outputs.references import follow_reference
from server.structured_outputs.subschemas import Schema, map_subschemas

# An object's required properties that admit certain strings only, and these strings.
Discriminators = dict[str, set[str]]

# Strings to compare for one alternative, at most: a schema may refer to it many times.
MAX_STRINGS: Final = 100


def discriminated_oneof_to_anyof(schema: Schema) -> Schema:
    """Return the schema with `anyOf` for each `oneOf` whose alternatives exclude each other.

    With a discriminator property, both mean the same. pydantic writes `oneOf` for discriminated
    unions.
    """
    return _Rewriter(schema).rewrite(schema)


class _Rewriter:
    """Rewrites the schemas within `root`."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        # Keyed by the identity of referenced schemas within `root`.
        self._referenced: dict[int, Discriminators] = {}

    def rewrite(self, schema: Schema) -> Schema:
        result = map_subschemas(schema, self.rewrite)
        if "anyOf" not in result and self._exclude_each_other(result.get("oneOf")):
            result["anyOf"] = result.pop("oneOf")
        return result

    def _exclude_each_other(self, alternatives: Any) -> bool:
        """Whether a property that all alternatives require distinguishes them."""
        if not isinstance(alternatives, list):
            return False
        found = [self._find_discriminators(each) for each in alternatives]
        return any(_has_no_repeats(each[name] for each in found) for name in _find_shared(found))

    def _find_discriminators(self, alternative: Any) -> Discriminators:
        if not isinstance(alternative, dict) or "$ref" not in alternative:
            return _read_discriminators(alternative)
        target = follow_reference(alternative["$ref"], self._root)
        if id(target) not in self._referenced:
            self._referenced[id(target)] = _read_discriminators(target)
        return self._referenced[id(target)]


def _find_shared(alternatives: Sequence[Discriminators]) -> set[str]:
    """Return the names of the discriminators common to all alternatives."""
    shared = set(alternatives[0]) if alternatives else set()
    for each in alternatives:
        shared &= each.keys()
    return shared


def _has_no_repeats(sets: Iterable[set[str]]) -> bool:
    seen: set[str] = set()
    for each in sets:
        if not seen.isdisjoint(each):
            return False
        seen |= each
    return True


def _read_discriminators(schema: Any) -> Discriminators:
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return {}
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return {}
    names = dict.fromkeys(name for name in required if isinstance(name, str))
    return _keep_few({name: _list_strings(properties.get(name)) for name in names})


def _keep_few(discriminators: Mapping[str, Sequence[str]]) -> Discriminators:
    """Return the discriminators with strings, and with at most `MAX_STRINGS` in total."""
    kept: Discriminators = {}
    remaining = MAX_STRINGS
    for name, strings in discriminators.items():
        if 0 < len(strings) <= remaining:
            kept[name] = set(strings)
            remaining -= len(strings)
    return kept


def _list_strings(schema: Any) -> list[str]:
    """Return the strings of a `const`, or of an `enum` of strings only."""
    if not isinstance(schema, dict):
        return []
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return []
    return values
