"""Drops keywords of a schema that do not affect a grammar."""

from typing import Any, Final

from server.structured_outputs.subschemas import Schema, map_subschemas

# They describe values or name the schema, for readers of the schema.
ANNOTATIONS: Final = frozenset(
    {
        *("title", "description", "default", "examples", "example", "deprecated", "$comment"),
        *("readOnly", "writeOnly", "contentEncoding", "contentMediaType", "contentSchema"),
        *("$schema", "$id", "id", "$vocabulary", "$dynamicAnchor", "$recursiveAnchor"),
        "x-guidance",  # the compiler's own options
    }
)
# The formats that the grammar compiler can enforce. In JSON schema, all formats are annotations.
ENFORCED_FORMATS: Final = frozenset(
    {
        *("date-time", "time", "date", "duration", "email", "hostname"),
        *("ipv4", "ipv6", "uuid", "uri"),
    }
)
# Values with which a keyword has no effect.
NO_DEMANDS: Final[dict[str, tuple[Any, ...]]] = {
    "uniqueItems": (False,),
    "unevaluatedItems": (True, {}),
    "unevaluatedProperties": (True, {}),
    "dependentRequired": ({},),
    "dependentSchemas": ({},),
    "dependencies": ({},),
}


def drop_ignored_keywords(schema: Schema) -> Schema:
    """Return the schema without annotations and keywords without effect."""
    base = schema.get("$id")
    return _drop(schema, base if isinstance(base, str) else "")


def is_ignored(key: str, value: Any) -> bool:
    """Whether a keyword of a schema is an annotation or has no effect."""
    if key == "format":
        return not isinstance(value, str) or value not in ENFORCED_FORMATS
    return key in ANNOTATIONS or value in NO_DEMANDS.get(key, ())


def _drop(schema: Schema, base: str) -> Schema:
    result = map_subschemas(schema, lambda each: _drop(each, base))
    result = {key: value for key, value in result.items() if not is_ignored(key, value)}
    reference = result.get("$ref")
    if base and isinstance(reference, str) and reference.partition("#")[0] == base:
        result["$ref"] = "#" + reference.partition("#")[2]
    return result
