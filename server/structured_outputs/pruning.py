"""Drops keywords from a schema, so that it admits more."""

import json
from collections.abc import Sequence
from typing import Final

from server.structured_outputs.subschemas import Schema, locate_subschemas
from server.structured_outputs.unenforceable import Finding

# Keywords that admit properties which an object does not list.
ADMITS_PROPERTIES: Final = frozenset(
    {
        *("not", "if", "then", "else", "$ref", "$dynamicRef", "$recursiveRef"),
        *("unevaluatedProperties", "dependentRequired", "dependentSchemas", "dependencies"),
    }
)


def drop_keywords(schema: Schema, findings: Sequence[Finding]) -> Schema:
    """Return a copy of the schema without the keywords found."""
    result: Schema = json.loads(json.dumps(schema))
    # Noted before anything is dropped: findings may lie within dropped keywords.
    places = dict(locate_subschemas(result))
    for finding in findings:
        _drop(places[finding.pointer], finding.keyword)
    return result


def _drop(schema: Schema, keyword: str) -> None:
    value = schema.pop(keyword)
    if keyword == "oneOf":
        schema.setdefault("anyOf", value)
    elif keyword == "patternProperties":
        schema["additionalProperties"] = True
    elif keyword in ADMITS_PROPERTIES:
        schema.setdefault("additionalProperties", True)
