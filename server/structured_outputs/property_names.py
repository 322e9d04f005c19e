"""Rewrites `propertyNames`, which the grammar's compiler does not know.

pydantic and zod write it for maps whose keys are of an enum or have a pattern.
"""

from typing import Any, Final

from server.structured_outputs.ignored_keywords import drop_ignored_keywords
from server.structured_outputs.references import resolve_reference
from server.structured_outputs.subschemas import Schema, map_subschemas

# Beside one of these, the names alone do not say which properties there are.
ABOUT_PROPERTIES: Final = frozenset(
    {"properties", "patternProperties", "minProperties", "maxProperties"}
)


def spell_out_property_names(schema: Schema) -> Schema:
    """Return the schema with the properties that `propertyNames` admits, where these are told."""
    return _rewrite(schema, schema)


def _rewrite(schema: Schema, root: Schema) -> Schema:
    result = map_subschemas(schema, lambda each: _rewrite(each, root))
    names = _read_names(resolve_reference(result.get("propertyNames"), root))
    if names == {}:
        del result["propertyNames"]
    elif names is not None and not ABOUT_PROPERTIES & result.keys():
        admitted = _admit(names, result.get("additionalProperties", True))
        if admitted:
            del result["propertyNames"]
            result |= {**admitted, "additionalProperties": False}
    return result


def _read_names(names: Any) -> Schema | None:
    """Return what names have to satisfy besides being strings; None for no schema of strings."""
    if not isinstance(names, dict) or names.get("type", "string") != "string":
        return {} if names is True else None
    demands = drop_ignored_keywords(names)
    return {key: value for key, value in demands.items() if key not in ("type", "format")}


def _admit(names: Schema, value: Any) -> Schema:
    """Return the keywords that admit properties of these names, none if it is unknown which."""
    listed = [names["const"]] if names.keys() == {"const"} else names.get("enum")
    if names.keys() <= {"const", "enum"} and isinstance(listed, list):
        return {"properties": {name: value for name in listed if isinstance(name, str)}}
    if names.keys() == {"pattern"} and isinstance(names["pattern"], str):
        return {"patternProperties": {names["pattern"]: value}}
    return {}
