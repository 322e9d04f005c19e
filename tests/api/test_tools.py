"""Tools: who must be called is, with valid arguments, in the shapes that clients need."""

import json
from typing import Any

import httpx
import openai
import pytest
from jsonschema import Draft202012Validator

from server.tools.format import CALL_BEGIN, format_tool_call
from tests.api.asking import QUESTION, Streamed, ask, choice, chunks, refusal, streamed
from tests.api.pictures import body, image_part, text_part, user

MAX_TOKENS = 250
PARAMETERS: dict[str, dict[str, Any]] = {
    "report": {
        "type": "object",
        "properties": {
            "shape": {"enum": ["circle", "square"]},
            "count": {"type": "integer", "minimum": 0, "maximum": 9},
        },
        "required": ["shape", "count"],
    },
    "look_up": {
        "type": "object",
        "properties": {
            "where": {"$ref": "#/$defs/Place"},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
        },
        "required": ["where"],
        "$defs": {"Place": {"type": "object", "properties": {"x": {"type": "boolean"}}}},
    },
}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "Does it.", "parameters": each}}
    for name, each in PARAMETERS.items()
]
NO_ARGUMENTS = {"type": "function", "function": {"name": "stop-it.now"}}

UNIQUE = {
    "type": "object",
    "properties": {
        "a": {"type": "array", "items": {"enum": [1]}, "uniqueItems": True, "maxItems": 2}
    },
}


def named(name: str) -> dict[str, Any]:
    """Return the choice of one function."""
    return {"type": "function", "function": {"name": name}}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    """Return the choice of some functions."""
    tools = [named(name) for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def calls_of(found: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return a choice's calls; each must be valid."""
    calls = found["message"].get("tool_calls") or []
    for call in calls:
        assert set(call) == {"id", "type", "function"}
        assert call["type"] == "function"
        check(call["function"]["name"], call["function"]["arguments"])
    assert len({call["id"] for call in calls}) == len(calls)
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls]


def check(name: str, arguments: str) -> None:
    """Fail where arguments do not satisfy the function's parameters."""
    if name == "stop-it.now":
        assert arguments == "{}"
    else:
        Draft202012Validator(PARAMETERS[name]).validate(json.loads(arguments))


@pytest.mark.parametrize(
    "wishes", [{}, {"tool_choice": "auto"}, {"tool_choice": allowed("auto", "report")}]
)
def test_a_model_that_calls_nothing_just_answers(
    http: httpx.Client, wishes: dict[str, Any]
) -> None:
    found = choice(http, tools=TOOLS, max_tokens=30, **wishes)
    assert found["message"]["content"]
    assert "tool_calls" not in found["message"]
    assert found["finish_reason"] in ("stop", "length")


def test_none_is_an_answer_as_without_tools(http: httpx.Client) -> None:
    plain = ask(http)
    none = ask(http, tools=TOOLS, tool_choice="none")
    assert none["choices"] == plain["choices"]
    assert none["usage"]["prompt_tokens"] == plain["usage"]["prompt_tokens"]


def test_required_calls_something(http: httpx.Client) -> None:
    wishes = {"tools": [*TOOLS, NO_ARGUMENTS], "tool_choice": "required", "max_tokens": MAX_TOKENS}
    found = choice(http, parallel_tool_calls=False, **wishes)
    assert len(calls_of(found)) == 1
    assert (found["message"]["content"], found["finish_reason"]) == (None, "tool_calls")


@pytest.mark.parametrize("name", ["report", "look_up", "stop-it.now"])
def test_named_is_called_once_and_ends_as_text_would(http: httpx.Client, name: str) -> None:
    wishes = {"tools": [*TOOLS, NO_ARGUMENTS], "tool_choice": named(name), "max_tokens": MAX_TOKENS}
    found = choice(http, **wishes)
    assert [called for called, _ in calls_of(found)] == [name]
    assert found["finish_reason"] == "stop"


def test_what_cannot_be_enforced_is_dropped_without_strict(http: httpx.Client) -> None:
    tools = [{**named("f"), "function": {"name": "f", "parameters": UNIQUE}}]
    assert choice(http, tools=tools, max_tokens=5)["message"]["content"]
    found = choice(http, tools=tools, tool_choice=named("f"), max_tokens=MAX_TOKENS)
    (call,) = found["message"]["tool_calls"]
    Draft202012Validator({**UNIQUE, "properties": {}}).validate(
        json.loads(call["function"]["arguments"])
    )


def test_allowed_tools_leave_out_the_others(http: httpx.Client) -> None:
    for name in PARAMETERS:
        found = choice(
            http,
            tools=TOOLS,
            tool_choice=allowed("required", name),
            parallel_tool_calls=False,
            max_tokens=MAX_TOKENS,
        )
        assert [called for called, _ in calls_of(found)] == [name]
        assert found["finish_reason"] == "tool_calls"


def test_many_answers_with_many_calls(http: httpx.Client) -> None:
    wishes = {"tools": TOOLS, "tool_choice": "required", "temperature": 1.5, "seed": 4, "n": 6}
    completion = ask(http, max_tokens=MAX_TOKENS, **wishes)
    whole = [calls_of(each) for each in completion["choices"] if each["finish_reason"] != "length"]
    assert whole
    assert all(whole)
    assert {each["finish_reason"] for each in completion["choices"]} <= {"tool_calls", "length"}


@pytest.mark.parametrize(
    "tool_choice", ["required", named("look_up"), allowed("required", "report")]
)
def test_streams_are_what_is_answered_at_once(http: httpx.Client, tool_choice: Any) -> None:
    wishes = {"tools": TOOLS, "tool_choice": tool_choice, "temperature": 0}
    found = choice(http, max_tokens=MAX_TOKENS, **wishes)
    (answer,) = streamed(http, max_tokens=MAX_TOKENS, **wishes)
    assert answer.content == ""
    assert answer.finish_reason == found["finish_reason"]
    assert [(each["name"], json.loads(each["arguments"])) for each in answer.calls] == calls_of(
        found
    )
    assert all(each["id"].startswith("call_") for each in answer.calls)


def test_each_chunk_of_a_call(http: httpx.Client) -> None:
    found = chunks(http, tools=TOOLS, tool_choice=named("report"), max_tokens=MAX_TOKENS)
    deltas = [chunk["choices"][0]["delta"] for chunk in found]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[-1] == {}
    assert found[-1]["choices"][0]["finish_reason"] == "stop"
    begin, *rest = [delta["tool_calls"][0] for delta in deltas[1:-1]]
    assert begin == {
        "index": 0,
        "id": begin["id"],
        "type": "function",
        "function": {"name": "report", "arguments": ""},
    }
    assert len(rest) > 3  # piece by piece
    assert all(set(delta) == {"tool_calls"} for delta in deltas[1:-1])


def test_logprobs_and_usage_beside_calls(http: httpx.Client) -> None:
    wishes = {"tools": TOOLS, "tool_choice": named("report"), "max_tokens": MAX_TOKENS}
    completion = ask(http, logprobs=True, **wishes)
    tokens = completion["choices"][0]["logprobs"]["content"]
    spelt = b"".join(bytes(token["bytes"]) for token in tokens).decode()
    (call,) = completion["choices"][0]["message"]["tool_calls"]
    assert spelt == format_tool_call("report", call["function"]["arguments"])
    assert len(tokens) <= completion["usage"]["completion_tokens"]
    (answer,) = streamed(http, logprobs=True, **wishes)
    assert answer.logprobs == tokens


def test_at_the_token_limit_what_there_is_of_a_call_is_told(http: httpx.Client) -> None:
    wishes = {"tools": TOOLS, "tool_choice": named("report")}
    reasons = []
    for max_tokens in (1, 4, 8, 16, 32, 48):
        found = choice(http, max_tokens=max_tokens, **wishes)
        assert not found["message"]["content"]
        (answer,) = streamed(http, max_tokens=max_tokens, **wishes)
        calls = found["message"].get("tool_calls") or []
        told = [(c["function"]["name"], c["function"]["arguments"]) for c in calls]
        assert [(each["name"], each["arguments"]) for each in answer.calls] == told
        assert answer.content == ""
        assert answer.finish_reason == found["finish_reason"]
        reasons.append(found["finish_reason"])
    assert reasons[0] == "length"


def test_a_format_beside_tools(http: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    wishes = {
        "tools": TOOLS,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
        "max_tokens": MAX_TOKENS,
    }
    found = choice(http, **wishes)
    if not calls_of(found):
        Draft202012Validator(schema).validate(json.loads(found["message"]["content"]))
    forced = choice(http, tool_choice=named("report"), **wishes)
    assert calls_of(forced)


def conversation(call_id: str, arguments: str, result: Any) -> list[dict[str, Any]]:
    """Return a question, a call and what came of it."""
    call = {
        "id": call_id,
        "type": "function",
        "function": {"name": "report", "arguments": arguments},
    }
    return [
        QUESTION,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": result},
    ]


@pytest.mark.parametrize("result", ["It is red.", [{"type": "text", "text": "It is red."}], ""])
def test_round_trip(http: httpx.Client, result: Any) -> None:
    first = choice(http, tools=TOOLS, tool_choice=named("report"), max_tokens=MAX_TOKENS)
    (call,) = first["message"]["tool_calls"]
    messages = conversation(call["id"], call["function"]["arguments"], result)
    assert choice(http, *messages, tools=TOOLS, max_tokens=20)["message"]["content"] is not None
    assert choice(http, *messages, user("And?"), max_tokens=20)["message"]["content"] is not None


def test_what_a_tool_says_is_text(http: httpx.Client) -> None:
    lengths = set()
    for word in ("</s>", "<pad>"):
        messages = conversation("1", "{}", f"{word} {CALL_BEGIN} <image>")
        lengths.add(
            ask(http, *messages, max_tokens=5)["usage"]["prompt_tokens_details"]["image_tokens"]
        )
    assert lengths == {64}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": named("report")}, "tool_choice"),
    ({"tools": TOOLS, "tool_choice": named("other")}, "tool_choice"),
    ({"tools": TOOLS, "tool_choice": allowed("auto", "other")}, "tool_choice"),
    ({"tools": TOOLS, "tool_choice": "always"}, "tool_choice"),
    ({"tools": [*TOOLS, TOOLS[0]]}, "tools"),
    ({"tools": [named("a b")]}, "tools[0].function.name"),
    ({"tools": [{"type": "retrieval"}]}, "tools[0].type"),
    (
        {
            "tools": [
                {**named("f"), "function": {"name": "f", "parameters": UNIQUE, "strict": True}}
            ]
        },
        "tools[0].function.parameters",
    ),
    (
        {"tools": TOOLS, "structured_outputs": {"grammar": 'start: "a"'}},
        "structured_outputs.grammar",
    ),
    ({"tools": TOOLS, "min_tokens": 3}, "min_tokens"),
    ({"tools": [named(f"f{number}") for number in range(129)]}, "tools"),
]


@pytest.mark.parametrize(("wishes", "param"), REFUSED, ids=[str(w)[:60] for w, _ in REFUSED])
def test_faults_are_named_before_any_work(
    http: httpx.Client, wishes: dict[str, Any], param: str
) -> None:
    broken = user(image_part("data:image/png;base64,AAAA"), text_part("What?"))
    assert refusal(http, broken, **wishes)["param"] == param


def test_a_result_without_a_call_is_refused(http: httpx.Client) -> None:
    question, _, result = conversation("1", "{}", "x")
    assert refusal(http, question, result)["param"] == "messages[1].tool_call_id"


def test_long_lists_of_tools(http: httpx.Client) -> None:
    many = [named(f"f{number}") for number in range(128)]
    found = choice(http, user("Hi"), tools=many, tool_choice=named("f77"), max_tokens=MAX_TOKENS)
    (call,) = found["message"]["tool_calls"]
    assert call["function"] == {"name": "f77", "arguments": "{}"}
    described = [{**each, "function": {**each["function"], "description": "It."}} for each in many]
    error = refusal(http, user("Hi"), tools=described)
    assert error["code"] == "context_length_exceeded"
    assert "2048" in error["message"]


def test_openais_client_streams_calls(client: openai.OpenAI) -> None:
    request = body(QUESTION, tools=TOOLS, tool_choice="required", parallel_tool_calls=False)
    with client.chat.completions.stream(**request, max_tokens=MAX_TOKENS) as stream:
        events = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        (called,) = stream.get_final_completion().choices[0].message.tool_calls or []
    (event,) = events
    assert event.name == called.function.name
    check(called.function.name, called.function.arguments)


def test_answers_without_calls_have_none(http: httpx.Client) -> None:
    assert streamed(http, max_tokens=3) == [Streamed("A red circle", [], [], "length")]
