"""What a schema says that does not concern its grammar is left out, and nothing else."""

from typing import Any

import pytest

from server.structured_outputs.ignored_keywords import ENFORCED_FORMATS, drop_ignored_keywords
from server.structured_outputs.schema import build_json_rule
from tests.server.structured_outputs.sentences import compile_grammar

STRING = {"type": "string"}
DROPPED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({**STRING, "title": "T", "description": "D", "default": "a", "examples": ["b"]}, STRING),
    ({**STRING, "$comment": "C", "deprecated": True, "readOnly": True, "writeOnly": True}, STRING),
    ({**STRING, "contentEncoding": "base64", "contentMediaType": "image/png"}, STRING),
    ({**STRING, "contentSchema": {"not": {}}, "$dynamicAnchor": "a", "$vocabulary": {}}, STRING),
    ({**STRING, "$schema": "nonsense", "$id": "no uri {", "id": 5}, STRING),
    ({**STRING, "format": "path"}, STRING),
    ({**STRING, "format": 5}, STRING),
    ({**STRING, "x-guidance": {"lenient": True}}, STRING),
    ({"type": "array", "uniqueItems": False, "unevaluatedItems": True}, {"type": "array"}),
    ({"dependentRequired": {}, "dependentSchemas": {}, "unevaluatedProperties": {}}, {}),
    ({"properties": {"a": {"title": "T"}}}, {"properties": {"a": {}}}),
    ({"$id": "http://a/b", "$ref": "http://a/b#/$defs/c"}, {"$ref": "#/$defs/c"}),
    ({"$id": "http://a/b", "items": {"$ref": "http://a/b"}}, {"items": {"$ref": "#"}}),
]
KEPT: list[dict[str, Any]] = [
    {"properties": {"title": STRING, "format": STRING, "$id": STRING}, "required": ["title"]},
    {"const": {"title": "T", "format": "path"}},
    {"enum": [{"description": "D"}]},
    {"type": "array", "uniqueItems": True},
    {"unevaluatedProperties": False},
    {"$ref": "http://a/b#/$defs/c"},
    {"$anchor": "a", "nullable": True},
]


@pytest.mark.parametrize(("schema", "rest"), DROPPED)
def test_dropped(schema: dict[str, Any], rest: dict[str, Any]) -> None:
    assert drop_ignored_keywords(schema) == rest


@pytest.mark.parametrize("schema", KEPT)
def test_kept(schema: dict[str, Any]) -> None:
    assert drop_ignored_keywords(schema) == schema


@pytest.mark.parametrize("format_", sorted(ENFORCED_FORMATS))
def test_the_compiler_knows_the_formats_that_are_kept(format_: str) -> None:
    rule = build_json_rule({"type": "string", "format": format_})
    assert format_ in rule
    assert not compile_grammar(f"%llguidance {{}}\nstart: {rule}\n").is_error()
