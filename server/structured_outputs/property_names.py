"""Rewrites `propertyNames`, which the grammar compiler does not support.

pydantic and zod write it for maps whose keys belong to an enum or match a pattern.
"""

from itertools import count
from typing import Any, Final

from server.errors import InvalidValue
from server.protocol.json_size import MAX_JSON_CHARACTERS, count_json_characters
from server.structured_outputs.ignored_keywords import is_ignored
from server.structured_outputs.references import resolve_reference
from server.structured_outputs.subschemas import Schema, iterate_subschemas, map_subschemas

# If one of these is present, the names alone do not determine the properties.
ABOUT_PROPERTIES: Final = frozenset(
    {"properties", "patternProperties", "minProperties", "maxProperties"}
)
READ_KEYWORDS: Final = ("const", "enum", "pattern")
# Characters of a property besides its name: a reference to the schema of its value.
PROPERTY_CHARACTERS: Final = len('"": {"$ref": "#/$defs/value-99999"}, ')
# Several maps may refer to one list of names. All their properties together may have at most this
# many times the characters of the schema.
MAX_GROWTH: Final = 16


def check_property_names(schema: Schema, param: str) -> None:
    """Raise `InvalidValue`, naming `param`, if the maps have too many names in total."""
    budget = min(MAX_GROWTH * count_json_characters(schema), MAX_JSON_CHARACTERS)
    for each in iterate_subschemas(schema):
        names = resolve_reference(each.get("propertyNames"), schema)
        for name in _find_list(_read_names(names)) or ():
            budget -= PROPERTY_CHARACTERS + (len(name) if isinstance(name, str) else 0)
            if budget < 0:
                raise InvalidValue(
                    "The maps of this schema have too many names in total. "
                    "List fewer names in 'propertyNames', or use a 'pattern'.",
                    param,
                )


def spell_out_property_names(schema: Schema) -> Schema:
    """Return the schema with the properties whose names `propertyNames` lists or matches.

    The result is linear in the size of a schema that passes `check_property_names`: the properties
    of a map share the schema of their values, in `$defs`.
    """
    return _Rewriter(schema).rewrite_root()


class _Rewriter:
    """Rewrites the schemas within `root` and collects the definitions that they refer to."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        definitions = root.get("$defs")
        self._taken = definitions if isinstance(definitions, dict) else {}
        self._numbers = count()
        self._added: Schema = {}

    def rewrite_root(self) -> Schema:
        result = self._rewrite(self._root)
        if self._added:
            kept = result["$defs"] if self._taken else {}
            result["$defs"] = {**kept, **self._added}
        return result

    def _rewrite(self, schema: Schema) -> Schema:
        result = map_subschemas(schema, self._rewrite)
        demands = _read_names(resolve_reference(result.get("propertyNames"), self._root))
        if demands == {}:
            del result["propertyNames"]
        elif demands is not None and not ABOUT_PROPERTIES & result.keys():
            admitted = self._admit(demands, result.get("additionalProperties", True))
            if admitted:
                del result["propertyNames"]
                result |= {**admitted, "additionalProperties": False}
        return result

    def _admit(self, demands: Schema, value: Any) -> Schema:
        """Return the keywords that admit the properties, none if these are unknown."""
        names = _find_list(demands)
        if names is not None:
            strings = (name for name in names if isinstance(name, str))
            return {"properties": dict.fromkeys(strings, self._share(value))}
        if demands.keys() == {"pattern"} and isinstance(demands["pattern"], str):
            return {"patternProperties": {demands["pattern"]: value}}
        return {}

    def _share(self, value: Any) -> Any:
        """Define a schema; return a reference to it."""
        if not isinstance(value, dict):
            return value
        name = next(name for n in self._numbers if (name := f"value-{n}") not in self._taken)
        self._added[name] = value
        return {"$ref": f"#/$defs/{name}"}


def _read_names(names: Any) -> Schema | None:
    """Return the keywords in `READ_KEYWORDS` that names must satisfy; None if there are others."""
    if not isinstance(names, dict) or names.get("type", "string") != "string":
        return {} if names is True else None
    demands = {}
    for key, value in names.items():
        if key in READ_KEYWORDS:
            demands[key] = value
        elif key not in ("type", "format") and not is_ignored(key, value):
            return None
    return demands


def _find_list(demands: Schema | None) -> list[Any] | None:
    """Return the list of allowed names, if that is the only demand."""
    if not demands or "pattern" in demands:
        return None
    names = demands["enum"] if "enum" in demands else [demands["const"]]
    return names if isinstance(names, list) else None
