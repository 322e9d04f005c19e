"""Each keyword that the compiler refuses is found at its place, and dropping it is enough."""

from typing import Any

import pytest

from server.structured_outputs.ignored_keywords import drop_ignored_keywords
from server.structured_outputs.pruning import drop_keywords
from server.structured_outputs.schema import build_json_rule
from server.structured_outputs.unenforceable import (
    UNSUPPORTED,
    Finding,
    find_overlapping_one_of,
    find_unenforceable,
)
from tests.server.structured_outputs.sentences import accepts, compile_grammar

STRING = {"type": "string"}


def find_reason(schema: dict[str, Any]) -> str | None:
    """Return the compiler's reason to refuse a schema."""
    matcher = compile_grammar(f"%llguidance {{}}\nstart: {build_json_rule(schema)}\n")
    return matcher.get_error() if matcher.is_error() else None


def find(schema: dict[str, Any]) -> list[Finding]:
    """Return what is found in a schema."""
    return list(find_unenforceable(drop_ignored_keywords(schema), find_reason))


def test_the_compiler_knows_none_of_the_keywords_called_unsupported() -> None:
    assert [each for each in sorted(UNSUPPORTED) if find_reason({each: {"a": ["b"]}}) is None] == []


FOUND: list[tuple[dict[str, Any], str]] = [
    ({**STRING, "pattern": r"^(?!\.)a"}, "/pattern"),
    ({**STRING, "pattern": r"\bword\b"}, "/pattern"),
    ({**STRING, "pattern": r"(a)\1"}, "/pattern"),
    ({**STRING, "pattern": "("}, "/pattern"),
    ({"properties": {"a/b~": {"items": {"pattern": "(?=a)"}}}}, "/properties/a~1b~0/items/pattern"),
    ({"anyOf": [{}, {"pattern": "(?<=a)"}]}, "/anyOf/1/pattern"),
    ({"items": [{"not": {}}]}, "/items/0/not"),
    ({"$defs": {"A": {"contains": {}}}, "$ref": "#/$defs/A"}, "/$defs/A/contains"),
    ({"patternProperties": {"(?=a)": {}}}, "/patternProperties"),
    ({"patternProperties": {"^a": {}, "b": {}}}, "/patternProperties"),
    ({"patternProperties": {"^a": {"uniqueItems": True}}}, "/patternProperties/^a/uniqueItems"),
    ({"properties": {"a": {}}, "minProperties": 2}, "/minProperties"),
    ({"propertyNames": {"maxLength": 3}}, "/propertyNames"),
    ({"propertyNames": {"pattern": "(?!a)"}}, "/propertyNames"),
    ({"propertyNames": {"enum": ["a"]}, "properties": {"a": {}}}, "/propertyNames"),
    ({"type": "number", "maximum": 3.5e38}, "/maximum"),
    ({"type": "integer", "multipleOf": 10**18 + 7}, "/multipleOf"),
    ({"type": "array", "maxItems": 100_000}, "/maxItems"),
    ({"$ref": "http://example.org/"}, "/$ref"),
    ({"$ref": "#/$defs/none"}, "/$ref"),
    ({"$ref": "#none"}, "/$ref"),
    ({"$ref": 5}, "/$ref"),
    ({"items": {"$ref": "#/$defs/" + "9" * 5000}, "$defs": {}}, "/items/$ref"),
    ({"anyOf": [{}], "$ref": "#/anyOf/" + "9" * 5000}, "/$ref"),
    ({"if": {}, "$anchor": {}}, "/if"),
]


@pytest.mark.parametrize(("schema", "location"), FOUND, ids=[str(each)[:60] for each, _ in FOUND])
def test_found_and_dropped(schema: dict[str, Any], location: str) -> None:
    assert [(each.location, each.invalid) for each in find(schema)] == [(location, None)]
    assert find_reason(drop_keywords(schema, find(schema))) is None


@pytest.mark.parametrize(
    "schema",
    [
        {**STRING, "pattern": r"^\p{L}+@[\w.-]+$", "minLength": 3, "maxLength": 1_000_000},
        {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
        {"$ref": "#/$defs/a~1b/properties/c", "$defs": {"a/b": {"properties": {"c": STRING}}}},
        {"$ref": "#/$defs/a%20b", "$defs": {"a b": STRING}},
        {"$ref": "#here", "$defs": {"a": {"$anchor": "here"}}},
        {"$id": "http://a/b", "$ref": "http://a/b#/$defs/c", "$defs": {"c": STRING}},
        {"items": {"$ref": "#"}},
        {"type": "object", "propertyNames": {"type": "string", "title": "T"}},
        {"properties": {"a": {}}, "propertyNames": {"format": "uuid"}},
        {"type": "object", "minProperties": 1, "maxProperties": 3},
        {"properties": {"not": {}, "uniqueItems": {}}, "const": {"not": {}}},
        {"type": "array", "uniqueItems": False, "maxItems": 10_000},
    ],
)
def test_nothing_found(schema: dict[str, Any]) -> None:
    assert find(schema) == []
    assert find_reason(schema) is None


@pytest.mark.parametrize(
    ("schema", "location"),
    [
        ({"properties": {"a": {"type": "intger"}}}, "/properties/a/type"),
        ({"items": {"enum": []}}, "/items/enum"),
        ({"required": "a"}, "/required"),
    ],
)
def test_invalid(schema: dict[str, Any], location: str) -> None:
    (finding,) = find(schema)
    assert finding.location == location
    assert finding.invalid


def test_one_of_that_may_overlap() -> None:
    overlap = {"oneOf": [{"type": "integer"}, {"type": "number"}]}
    apart = {"oneOf": [{"type": "integer"}, STRING]}
    schema = {"properties": {"a": overlap, "b": apart}}
    findings = list(find_overlapping_one_of(schema, find_reason))
    assert [each.location for each in findings] == ["/properties/a/oneOf"]
    assert find_reason(drop_keywords(schema, findings)) is None
    open_objects = [{"properties": {key: {}}, "required": [key]} for key in "ab"]
    (finding,) = find_overlapping_one_of({"allOf": [{}], "oneOf": open_objects}, find_reason)
    assert finding.location == "/oneOf"


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"patternProperties": {"(?=a)": {}}, "additionalProperties": False}, '{"ab": 1}'),
        ({"properties": {"a": {}}, "patternProperties": {"(?=b)": {}}}, '{"b": 1}'),
        ({"properties": {"a": {}}, "unevaluatedProperties": {"type": "null"}}, '{"b": null}'),
        ({"properties": {"a": {}}, "dependentSchemas": {"a": {"required": ["b"]}}}, '{"b": 1}'),
        ({"properties": {"a": {}}, "$ref": "http://example.org/"}, '{"b": 1}'),
        ({"oneOf": [{"minimum": 1}, {"maximum": 5}]}, "3"),
    ],
)
def test_dropping_never_narrows(schema: dict[str, Any], text: str) -> None:
    pruned = drop_keywords(schema, find(schema))
    pruned = drop_keywords(pruned, list(find_overlapping_one_of(pruned, find_reason)))
    assert accepts(f"%llguidance {{}}\nstart: {build_json_rule(pruned)}\n", text)
