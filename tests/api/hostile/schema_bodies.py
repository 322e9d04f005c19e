"""Hostile schemas, regular expressions and grammars, with the answer that each must get."""

from collections.abc import Mapping
from typing import Any

from tests.api.hostile.building import (
    CHAT,
    CONTEXT,
    INVALID,
    JSON,
    MANY,
    RESPONSES,
    WIDE,
    Hostile,
    chat,
    hostile,
    response,
    schema_format,
    tool,
)
from tests.server.structured_outputs.hostile_schemas import REFUSED, REWRITTEN, Schema


def demand_of_response(schema: Schema) -> dict[str, Any]:
    """Return a request for a response that a schema constrains."""
    return response("Hi", text={"format": {"type": "json_schema", "name": "s", "schema": schema}})


def offer_tool(schema: Schema) -> dict[str, Any]:
    """Return a chat request with a tool that the model may call."""
    return chat(tools=[tool(parameters=schema)], tool_choice="auto")


def demand(name: str, schema: Schema, *codes: str | None) -> dict[str, Hostile]:
    """Return bodies with a schema for a chat, one of its tools, and a response."""
    return {
        name: hostile(CHAT, lambda: chat(response_format=schema_format(schema)), *codes),
        f"{name}, for a tool": hostile(CHAT, lambda: offer_tool(schema), *codes, CONTEXT),
        f"{name}, for a response": hostile(RESPONSES, lambda: demand_of_response(schema), *codes),
    }


def demand_all(schemas: Mapping[str, Schema], *codes: str | None) -> dict[str, Hostile]:
    """Return bodies with each of some schemas."""
    bodies = [demand(name, schema, *codes) for name, schema in schemas.items()]
    return {name: body for group in bodies for name, body in group.items()}


SCHEMAS = {
    "wide": hostile(
        CHAT,
        lambda: chat(response_format=schema_format({"type": "object", "properties": WIDE})),
        INVALID,
    ),
    "wide, for a response": hostile(
        RESPONSES, lambda: demand_of_response({"type": "object", "properties": WIDE}), INVALID
    ),
    "a tool's, wide": hostile(
        CHAT,
        lambda: chat(
            tools=[tool(parameters={"type": "object", "properties": WIDE})], tool_choice="required"
        ),
        INVALID,
        CONTEXT,
    ),
    "an enumeration": hostile(
        CHAT,
        lambda: chat(
            response_format=schema_format({"enum": ["x" * 50 + str(n) for n in range(99_999)]})
        ),
        INVALID,
    ),
    "long strings": hostile(
        CHAT, lambda: chat(response_format=schema_format({"const": "x" * MANY})), INVALID
    ),
    "repetition": hostile(
        CHAT, lambda: chat(structured_outputs={"regex": "(a{1,1000}){1,1000}"}), INVALID, None
    ),
    "an expression of ten million letters": hostile(
        CHAT, lambda: chat(structured_outputs={"regex": "a?" * (MANY // 2)}), INVALID
    ),
    "a grammar of ten million letters": hostile(
        CHAT, lambda: chat(structured_outputs={"grammar": 'root ::= "a"\n' * 800_000}), INVALID
    ),
    "choices": hostile(
        CHAT,
        lambda: chat(structured_outputs={"choice": [f"c{n}" for n in range(200_000)]}),
        INVALID,
    ),
    "JSON in a string": hostile(
        CHAT, lambda: chat(structured_outputs={"json": "[" * MANY}), INVALID, JSON
    ),
    "references to themselves": hostile(
        CHAT,
        lambda: chat(
            response_format=schema_format(
                {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
            )
        ),
        None,
        INVALID,
    ),
    **demand_all(REWRITTEN, None, INVALID),
    **demand_all(REFUSED, INVALID),
}
