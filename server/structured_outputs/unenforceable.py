"""Finds the keywords of a schema that no grammar of the compiler's can express.

Some are never supported. Of others only certain values are, such as patterns without look-around:
the compiler is asked about each one, on a fragment of the schema.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from server.structured_outputs.subschemas import Schema, iterate_subschemas, join_pointer

# Returns the reason why a schema does not compile, None for one that does.
FindReason = Callable[[Schema], str | None]

UNSUPPORTED: Final = frozenset(
    {
        *("not", "if", "then", "else", "$dynamicRef", "$recursiveRef"),
        *("dependentRequired", "dependentSchemas", "dependencies"),
        *("propertyNames", "unevaluatedProperties"),
        *("uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems"),
    }
)
# Keywords to ask about, each with those beside it that the answer depends on.
UNCERTAIN: Final[dict[str, tuple[str, ...]]] = {
    "pattern": (),
    "minLength": (),
    "maxLength": (),
    "patternProperties": (),
    "minProperties": ("properties", "required", "additionalProperties"),
    "maxProperties": ("properties", "required", "additionalProperties"),
    "multipleOf": ("type",),
    "minimum": ("type",),
    "maximum": ("type",),
    "exclusiveMinimum": ("type",),
    "exclusiveMaximum": ("type",),
}
# A schema is invalid if one of these alone does not compile.
CERTAIN: Final = ("type", "enum", "required")
# The compiler takes long for more items, or dies.
MAX_ITEMS: Final = 10_000
# Keywords that admit properties which an object does not list.
ADMITS_PROPERTIES: Final = frozenset(
    {
        *("not", "if", "then", "else", "$ref", "$dynamicRef", "$recursiveRef"),
        *("unevaluatedProperties", "dependentRequired", "dependentSchemas", "dependencies"),
    }
)

DEFINITIONS: Final = ("$defs", "definitions")


@dataclass(frozen=True, slots=True)
class Finding:
    """A keyword, the JSON pointer of its schema, and the compiler's reason if it is invalid."""

    pointer: str
    keyword: str
    invalid: str | None = None

    @property
    def location(self) -> str:
        """The JSON pointer of the keyword."""
        return join_pointer(self.pointer, self.keyword)


def find_unenforceable(schema: Schema, find_reason: FindReason) -> Iterator[Finding]:
    """Yield what cannot be enforced and what is invalid, in the order of a schema.

    The schema has no keywords that are ignored.
    """
    anchors = [each.get("$anchor") for _, each in iterate_subschemas(schema)]
    anchored = {each for each in anchors if isinstance(each, str)}
    for pointer, each in iterate_subschemas(schema):
        for keyword, value in each.items():
            if keyword in CERTAIN:
                if reason := find_reason({keyword: value}):
                    yield Finding(pointer, keyword, reason)
            elif _is_unenforceable(each, keyword, find_reason) or (
                keyword == "$ref" and not _resolves(value, schema, anchored)
            ):
                yield Finding(pointer, keyword)


def find_overlapping_one_of(schema: Schema, find_reason: FindReason) -> Iterator[Finding]:
    """Yield each `oneOf` whose alternatives may overlap; all else in the schema is enforceable."""
    context: Schema = {key: schema[key] for key in DEFINITIONS if key in schema}
    if any("allOf" in each for _, each in iterate_subschemas(schema)):
        context["allOf"] = []  # narrowing leaves schemas with it alone
    for pointer, each in iterate_subschemas(schema):
        if "oneOf" in each and find_reason({**context, "oneOf": each["oneOf"]}):
            yield Finding(pointer, "oneOf")


def drop_keywords(schema: Schema, findings: list[Finding]) -> Schema:
    """Return a copy of the schema that demands less, without the keywords found."""
    result: Schema = json.loads(json.dumps(schema))
    # Keywords within a dropped one are not found, so no finding loses its place.
    places = dict(iterate_subschemas(result))
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


def _is_unenforceable(schema: Schema, keyword: str, find_reason: FindReason) -> bool:
    value = schema[keyword]
    if keyword in ("minItems", "maxItems"):
        return not isinstance(value, int) or value > MAX_ITEMS
    if keyword not in UNCERTAIN:
        return keyword in UNSUPPORTED
    beside = {key: _hollow(schema[key]) for key in UNCERTAIN[keyword] if key in schema}
    return find_reason({**beside, keyword: _hollow(value)}) is not None


def _hollow(value: Any) -> Any:
    """Return a map of subschemas, or a subschema, with nothing within that might not compile."""
    return dict.fromkeys(value, True) if isinstance(value, dict) else value


def _resolves(reference: Any, root: Schema, anchors: set[str]) -> bool:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return False
    if not reference.startswith("#/"):
        return reference == "#" or reference[1:] in anchors
    node: Any = root
    try:
        for step in unquote(reference[2:]).split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            node = node[int(name)] if isinstance(node, list) else node[name]
    except (LookupError, TypeError, ValueError):
        return False
    return True
