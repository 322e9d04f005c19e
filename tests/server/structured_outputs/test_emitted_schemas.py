"""Schemas that libraries emit: what they hold is enforced, or dropped, or refused by its name.

`emitted` has what pydantic 2.14 (`model_json_schema`), zod 4.6 (`z.toJSONSchema`, the second for
draft 7) and the AI SDK 6 (`zodSchema`) emit for an object with a field of each kind they have.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from server.checkpoint.config import Checkpoint
from server.errors import InvalidValue
from server.protocol.chat.request import parse_chat_request
from server.structured_outputs.grammar import GrammarBuilder
from server.structured_outputs.validator import GrammarValidator
from server.telemetry.metrics import Metrics
from server.tools.callable_tools import resolve_callable_tools
from server.tools.format import format_tool_call
from tests.server.structured_outputs.sentences import accepts

pytestmark = pytest.mark.asyncio(loop_scope="module")

EMITTED = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "emitted").glob("*.json"))
}
# Fields with something that no grammar can enforce.
REFUSED = {
    "pydantic": {
        "tags": "/properties/tags/uniqueItems",
        "frozen": "/properties/frozen/uniqueItems",
        "short_keys": "/properties/short_keys/propertyNames",
    },
    "zod": {
        "emoji": "/properties/emoji/pattern",
        "hostname": "/properties/hostname/pattern",
        "duration": "/properties/duration/pattern",
        "regex": "/properties/regex/pattern",
        "float32": "/properties/float32/minimum",
    },
}
# zod wrote this before version 4.6.
EMAIL = {"type": "string", "format": "email", "pattern": r"^(?!\.)(?!.*\.\.)[\w.]+@[\w.]+$"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def builder(checkpoint: Checkpoint) -> AsyncIterator[GrammarBuilder]:
    """Return a builder of grammars with its worker."""
    validator = GrammarValidator(checkpoint.path)
    yield GrammarBuilder(validator, Metrics())
    await asyncio.to_thread(validator.close)


async def build(builder: GrammarBuilder, **fields: Any) -> str:
    """Return the validated grammar of a request."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    request = parse_chat_request(json.dumps(body).encode())
    grammar = await builder.build_and_validate(request, resolve_callable_tools(request), "")
    assert grammar is not None
    return grammar


async def refuse(builder: GrammarBuilder, **fields: Any) -> tuple[str | None, str]:
    """Return the field and the message of a refusal."""
    with pytest.raises(InvalidValue) as caught:
        await build(builder, **fields)
    return caught.value.param, caught.value.message


def tools(*schemas: Any, strict: bool | None = None) -> dict[str, Any]:
    """Return the fields of a request with functions of these parameters."""
    functions = [
        {"name": f"f{index}", "parameters": schema, "strict": strict}
        for index, schema in enumerate(schemas)
    ]
    return {"tools": [{"type": "function", "function": each} for each in functions]}


def formats(schema: Any) -> dict[str, dict[str, Any]]:
    """Return the fields of requests for JSON, by the field that errors name."""
    json_schema = {"name": "n", "schema": schema}
    return {
        "response_format.json_schema.schema": {
            "response_format": {"type": "json_schema", "json_schema": json_schema}
        },
        "response_format.schema": {"response_format": {"type": "json_object", "schema": schema}},
        "structured_outputs.json": {"structured_outputs": {"json": schema}},
    }


def isolate(library: str, field: str) -> dict[str, Any]:
    """Return the emitted schema with one of its fields."""
    schema = EMITTED[library]
    return {**schema, "properties": {field: schema["properties"][field]}, "required": [field]}


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function"}])
@pytest.mark.parametrize("library", EMITTED)
async def test_tools_that_are_not_strict(
    library: str, choice: Any, builder: GrammarBuilder
) -> None:
    if isinstance(choice, dict):
        choice = {**choice, "function": {"name": "f0"}}
    for strict in (None, False):
        fields = tools(EMITTED[library], strict=strict)
        await build(builder, **fields, tool_choice=choice)


@pytest.mark.parametrize("library", EMITTED)
async def test_what_cannot_be_enforced_is_refused_where_it_must_be(
    library: str, builder: GrammarBuilder
) -> None:
    refused = REFUSED.get(library, REFUSED["zod"])
    for field in EMITTED[library]["properties"]:
        schema = isolate(library, field)
        if field not in refused:
            await build(builder, **tools(schema, strict=True))
            continue
        for param, fields in formats(schema).items():
            found, message = await refuse(builder, **fields)
            assert found == param
            assert f"at '{refused[field]}' cannot be enforced" in message
        found, message = await refuse(builder, **tools({}, schema, strict=True))
        assert found == "tools[1].function.parameters"
        assert f"at '{refused[field]}' cannot be enforced" in message
        assert "leave out 'strict'" in message


async def test_only_what_cannot_be_enforced_is_dropped(builder: GrammarBuilder) -> None:
    schema = {
        "type": "object",
        "properties": {"email": EMAIL, "tags": {"type": "array", "uniqueItems": True}},
        "required": ["email"],
    }
    grammar = await build(builder, **tools(schema), tool_choice="required")
    assert accepts(grammar, format_tool_call("f0", '{"email": "a@b.org", "tags": [1, 1]}'))
    assert not accepts(grammar, format_tool_call("f0", '{"email": "a"}'))
    assert not accepts(grammar, format_tool_call("f0", '{"tags": []}'))


async def test_a_strict_tool_beside_one_that_is_not(builder: GrammarBuilder) -> None:
    loose, strict = tools({"properties": {"a": EMAIL}}), tools({"properties": {"b": EMAIL}})
    strict["tools"][0]["function"] |= {"name": "strict", "strict": True}
    param, message = await refuse(builder, tools=[*loose["tools"], *strict["tools"]])
    assert param == "tools[1].function.parameters"
    assert "'pattern' at '/properties/b/pattern'" in message


async def test_invalid_schemas_are_refused_even_without_strict(builder: GrammarBuilder) -> None:
    param, message = await refuse(builder, **tools({}, {"properties": {"a": {"type": "intger"}}}))
    assert param == "tools[1].function.parameters"
    assert "'type' at '/properties/a/type': Invalid type: intger" in message


async def test_schemas_that_are_too_large_together(builder: GrammarBuilder) -> None:
    large = {"enum": ["x" * 200_000]}
    _, message = await refuse(builder, **tools(large, large, large))
    assert "too large" in message
