"""Finds the keywords of a schema that the grammar compiler cannot express.

It never supports some keywords, and others only with certain values, such as patterns without
look-around. The latter are checked by compiling a fragment of the schema for each.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from server.structured_outputs.property_names import ABOUT_PROPERTIES
from server.structured_outputs.references import NOWHERE, follow_reference
from server.structured_outputs.subschemas import (
    Schema,
    iterate_subschemas,
    join_pointer,
    locate_subschemas,
)

# Returns the reason why a schema does not compile, None if it does.
FindReason = Callable[[Schema], str | None]

UNSUPPORTED: Final = frozenset(
    {
        *("not", "if", "then", "else", "$dynamicRef", "$recursiveRef"),
        *("dependentRequired", "dependentSchemas", "dependencies"),
        *("uniqueItems", "contains", "minContains", "maxContains"),
        *("unevaluatedItems", "unevaluatedProperties"),
    }
)
# Keywords to check, each with the neighbouring keywords that the result depends on.
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
# With more items, the compiler takes long or dies.
MAX_ITEMS: Final = 10_000
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
    """Yield unenforceable and invalid keywords, in the schema's order.

    The schema must have no ignored keywords.
    """
    inspector = _Inspector(schema, find_reason)
    for pointer, each in locate_subschemas(schema):
        for keyword, value in each.items():
            if keyword in CERTAIN:
                if reason := find_reason({keyword: value}):
                    yield Finding(pointer, keyword, reason)
            elif inspector.is_unenforceable(each, keyword):
                yield Finding(pointer, keyword)


def find_overlapping_one_of(schema: Schema, find_reason: FindReason) -> Iterator[Finding]:
    """Yield each `oneOf` whose alternatives may overlap; the rest of the schema is enforceable."""
    context = _select(schema, DEFINITIONS)
    if any("allOf" in each for each in iterate_subschemas(schema)):
        context["allOf"] = []  # narrowing leaves schemas with it alone
    for pointer, each in locate_subschemas(schema):
        if "oneOf" in each and find_reason({**context, "oneOf": each["oneOf"]}):
            yield Finding(pointer, "oneOf")


class _Inspector:
    """Checks the keywords of the schemas within `root`."""

    def __init__(self, root: Schema, find_reason: FindReason) -> None:
        self._root = root
        self._find_reason = find_reason
        anchors = [each.get("$anchor") for each in iterate_subschemas(root)]
        self._anchors = {f"#{anchor}" for anchor in anchors if isinstance(anchor, str)}

    def is_unenforceable(self, schema: Schema, keyword: str) -> bool:
        value = schema[keyword]
        if keyword == "$ref":
            return not self._resolves(value)
        if keyword in ("minItems", "maxItems"):
            return not isinstance(value, int) or value > MAX_ITEMS
        if keyword == "propertyNames":
            return self._find_reason(self._isolate_property_names(schema)) is not None
        if keyword in UNCERTAIN:
            return self._find_reason(_isolate(schema, keyword)) is not None
        return keyword in UNSUPPORTED

    def _resolves(self, reference: Any) -> bool:
        is_anchor = isinstance(reference, str) and reference in self._anchors
        return is_anchor or follow_reference(reference, self._root) is not NOWHERE

    def _isolate_property_names(self, schema: Schema) -> Schema:
        names = {**_select(self._root, DEFINITIONS), "propertyNames": schema["propertyNames"]}
        return _hollow(_select(schema, ABOUT_PROPERTIES)) | names


def _isolate(schema: Schema, keyword: str) -> Schema:
    """Return the keyword and its neighbours that the compiler's result depends on."""
    return _hollow(_select(schema, (*UNCERTAIN[keyword], keyword)))


def _hollow(schema: Schema) -> Schema:
    """Return the schema without anything in its values that might not compile."""
    return {
        key: dict.fromkeys(value, True) if isinstance(value, dict) else value
        for key, value in schema.items()
    }


def _select(schema: Schema, keywords: Iterable[str]) -> Schema:
    return {key: schema[key] for key in keywords if key in schema}
