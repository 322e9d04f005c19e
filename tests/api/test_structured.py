"""Structured outputs: what an answer must look like, it looks like, and what cannot be is told."""

import json
import re
from typing import Any

import httpx
import openai
import pytest
from jsonschema import Draft202012Validator
from openai.types.chat import ChatCompletion

from tests.api.asking import QUESTION, choice, refusal, streamed, text
from tests.api.pictures import body, image_part, text_part, user

MAX_TOKENS = 200
SHAPE = {
    "type": "object",
    "properties": {
        "shape": {"enum": ["circle", "square", "triangle"]},
        "color": {"type": "string", "pattern": "^[a-z]{3,6}$"},
        "sides": {"type": "integer", "minimum": 0, "maximum": 4},
    },
    "required": ["shape", "color", "sides"],
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "enum": {"enum": ["red", "blue", None, 5]},
    "object": SHAPE,
    "closed": {**SHAPE, "additionalProperties": False, "title": "Shape"},
    "definitions": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"Shape": SHAPE},
        "type": "object",
        "properties": {
            "shapes": {"type": "array", "items": {"$ref": "#/$defs/Shape"}, "maxItems": 2}
        },
        "required": ["shapes"],
    },
    "array": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3},
    "any of": {"anyOf": [{"type": "null"}, {"type": "array", "items": {"const": 1}}]},
    "bounds": {"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991},
    "nested": {
        "type": "object",
        "properties": {
            "a": {
                "type": "object",
                "properties": {"b": {"type": "array", "items": SHAPE, "maxItems": 1}},
                "required": ["b"],
            }
        },
        "required": ["a"],
    },
    "nullable": {
        "type": "object",
        "properties": {
            "a": {"type": ["string", "null"], "maxLength": 20},
            "b": {"type": ["integer", "null"]},
        },
        "required": ["a", "b"],
    },
    "strings": {
        "type": "object",
        "properties": {
            "a": {"type": "string", "maxLength": 30},
            "b": {"type": "string", "maxLength": 5},
        },
        "required": ["a", "b"],
    },
    "format": {"type": "string", "format": "date"},
    "quotes": {"const": 'say "no" \\ </s> <image> 日本 😀\n'},
}


def wanted(schema: Any, **more: Any) -> dict[str, Any]:
    """Return the wish for a schema."""
    json_schema = {"name": "answer", "schema": schema, **more}
    return {"response_format": {"type": "json_schema", "json_schema": json_schema}}


def structured(**how: Any) -> dict[str, Any]:
    """Return the wish in vLLM's words."""
    return {"structured_outputs": how}


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_hold(http: httpx.Client, name: str) -> None:
    schema = SCHEMAS[name]
    for wishes in (wanted(schema), wanted(schema, strict=True), structured(json=schema)):
        found = choice(http, max_tokens=MAX_TOKENS, **wishes)
        assert found["finish_reason"] == "stop", found
        answer = json.loads(found["message"]["content"])
        Draft202012Validator(schema).validate(answer)


def test_schemas_hold_in_streams(http: httpx.Client) -> None:
    wishes = {"max_tokens": MAX_TOKENS, **wanted(SCHEMAS["nested"])}
    (answer,) = streamed(http, logprobs=True, **wishes)
    assert answer.content == text(http, **wishes)
    assert b"".join(bytes(t["bytes"]) for t in answer.logprobs).decode() == answer.content
    Draft202012Validator(SCHEMAS["nested"]).validate(json.loads(answer.content))


def test_schemas_hold_for_each_of_several_answers(http: httpx.Client) -> None:
    wishes = {"n": 4, "temperature": 1.5, "seed": 2, "max_tokens": MAX_TOKENS, **wanted(SHAPE)}
    for answer in streamed(http, **wishes):
        Draft202012Validator(SHAPE).validate(json.loads(answer.content))


@pytest.mark.parametrize(
    "wishes", [{"response_format": {"type": "json_object"}}, structured(json_object=True)]
)
def test_any_object(http: httpx.Client, wishes: dict[str, Any]) -> None:
    found = choice(http, max_tokens=MAX_TOKENS, **wishes)
    assert found["finish_reason"] == "stop"
    assert isinstance(json.loads(found["message"]["content"]), dict)


def test_strings_without_a_limit_are_never_cut(http: httpx.Client) -> None:
    properties = {"description": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": ["description"]}
    found = [choice(http, max_tokens=count, **wanted(schema)) for count in (20, 60, 400)]
    texts = [each["message"]["content"] for each in found]
    for each in found[:-1]:
        assert each["finish_reason"] == "length" or each["message"]["content"] == texts[-1]
        assert texts[-1].startswith(each["message"]["content"])


def test_a_schema_of_a_json_object(http: httpx.Client) -> None:
    wishes = {"response_format": {"type": "json_object", "schema": SHAPE}}
    Draft202012Validator(SHAPE).validate(json.loads(text(http, max_tokens=MAX_TOKENS, **wishes)))


def test_at_the_token_limit_json_is_cut_off(http: httpx.Client) -> None:
    found = choice(http, max_tokens=3, **wanted(SHAPE))
    assert found["finish_reason"] == "length"
    assert found["message"]["content"].startswith('{"')


@pytest.mark.parametrize(
    "pattern", [r"[A-Z]{3}-\d{2}", "(red|blue) (circle|square)", "a/b", r"a\/b"]
)
def test_regular_expressions(http: httpx.Client, pattern: str) -> None:
    assert re.fullmatch(pattern, text(http, **structured(regex=pattern)))


def test_choices(http: httpx.Client) -> None:
    question = user(
        image_part(QUESTION["content"][0]["image_url"]["url"]),
        text_part("What color is the circle?"),
    )
    colors = ["green", "red", "blue"]
    assert text(http, question, **structured(choice=colors)) == "red"
    assert text(http, question, **structured(choice=["</s>"])) == "</s>"
    assert text(http, question, **structured(choice=['"a"\n日本'])) == '"a"\n日本'


@pytest.mark.parametrize(
    "grammar",
    [
        'root ::= color " " shape\ncolor ::= "red" | "blue"\nshape ::= "circle" | "square"',
        'start: COLOR " " shape\nCOLOR: /red|blue/\nshape: "circle" | "square"',
        "%llguidance {}\nstart: /(red|blue) (circle|square)/",
    ],
    ids=["GBNF", "Lark", "Lark with a head"],
)
def test_grammars(http: httpx.Client, grammar: str) -> None:
    assert re.fullmatch("(red|blue) (circle|square)", text(http, **structured(grammar=grammar)))


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (wanted({"not": {}}), "response_format.json_schema.schema", "not"),
    (
        wanted({"type": "array", "uniqueItems": True}),
        "response_format.json_schema.schema",
        "unique",
    ),
    (
        wanted({"items": {"pattern": "(?=a)"}}),
        "response_format.json_schema.schema",
        "'pattern' at '/items/pattern'",
    ),
    (wanted({"type": "intger"}), "response_format.json_schema.schema", "intger"),
    (
        {"response_format": {"type": "json_object", "schema": {"not": {}}}},
        "response_format.schema",
        "'not' at '/not'",
    ),
    (wanted({"$ref": "#/$defs/A"}), "response_format.json_schema.schema", "'$ref' at '/$ref'"),
    (wanted({"$ref": "http://127.0.0.1/"}), "response_format.json_schema.schema", "'$ref'"),
    (wanted({"enum": []}), "response_format.json_schema.schema", ""),
    (wanted({"$ref": "#"}), "response_format.json_schema.schema", "nothing satisfies it"),
    (wanted([]), "response_format.json_schema.schema", ""),
    (wanted({"type": "string"}, name=""), "response_format.json_schema.name", ""),
    ({"response_format": {"type": "xml"}}, "response_format", "json_schema"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "required"),
    (structured(json="{"), "structured_outputs.json", "not valid JSON"),
    (structured(json={"not": {}}), "structured_outputs.json", "not"),
    (structured(regex="("), "structured_outputs.regex", "invalid regex"),
    (structured(regex="(?=a)b"), "structured_outputs.regex", "invalid regex"),
    (structured(grammar="nonsense"), "structured_outputs.grammar", "Expected"),
    (structured(grammar="root ::= root"), "structured_outputs.grammar", "nothing satisfies it"),
    (structured(choice=[]), "structured_outputs.choice", ""),
    (structured(), "structured_outputs", "one of"),
    (structured(regex="a", choice=["a"]), "structured_outputs", "one of"),
    (structured(xgrammar="a"), "structured_outputs", "one of"),
    (structured(regex="a", xgrammar="a"), "structured_outputs.xgrammar", ""),
    ({**structured(regex="a"), **wanted({})}, "structured_outputs", "combined"),
]


@pytest.mark.parametrize(("wishes", "param", "reason"), REFUSED, ids=[str(w) for w, *_ in REFUSED])
def test_what_cannot_be_is_refused_before_any_work(
    http: httpx.Client, wishes: dict[str, Any], param: str, reason: str
) -> None:
    broken = user(image_part("data:image/png;base64,AAAA"), text_part("What?"))
    for stream in (False, True):
        error = refusal(http, broken, stream=stream, **wishes)
        assert error["param"] == param
        assert reason in error["message"]


def test_a_grammar_that_begins_in_vain_is_no_fault_of_the_server(http: httpx.Client) -> None:
    many = [f"c{number}" for number in range(20_000)]
    error = refusal(http, **structured(choice=many))
    assert error["param"] == "structured_outputs.choice"


def test_openais_client_parses(client: openai.OpenAI) -> None:
    json_schema = {"name": "shape", "schema": SHAPE, "strict": True}
    request = body(QUESTION, response_format={"type": "json_schema", "json_schema": json_schema})
    completion: ChatCompletion = client.chat.completions.create(**request)
    Draft202012Validator(SHAPE).validate(json.loads(completion.choices[0].message.content or ""))
