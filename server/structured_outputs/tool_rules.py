"""Grammar rules of tool calls in the generic format."""

import json
from typing import Final

from server.structured_outputs.request_schema import PrunedRules, RequestSchema
from server.structured_outputs.schema import check_schema
from server.tools.callable_tools import CallableTools
from server.tools.format import CALL_BEGIN, CALL_END, format_call_head

NO_PARAMETERS: Final = {"type": "object", "properties": {}, "additionalProperties": False}


def resolve_tool_schemas(tools: CallableTools) -> dict[str, RequestSchema]:
    """Return the schemas of the callable functions' arguments, by the functions' names.

    Raises `InvalidValue` if a tool's parameters would take too much work, even for a tool that the
    model may not call.
    """
    schemas = {}
    for index, tool in enumerate(tools.declared):
        function, param = tool.function, f"tools[{index}].function.parameters"
        check_schema(function.parameters or {}, param)
        schemas[function.name] = RequestSchema(
            function.parameters or NO_PARAMETERS, param, strict=bool(function.strict)
        )
    return {function.name: schemas[function.name] for function in tools.functions}


def build_tool_rules(
    schemas: dict[str, RequestSchema], pruned: PrunedRules, *, parallel: bool
) -> str:
    """Return the rules `calls` (without the first `CALL_BEGIN`) and `call`."""
    calls = f"call ({json.dumps(CALL_BEGIN)} call)*" if parallel else "call"
    alternatives = "\n    | ".join(
        _build_call(name, schema.build_rule(pruned)) for name, schema in schemas.items()
    )
    return f"calls: {calls}\ncall: {alternatives}\n"


def _build_call(name: str, arguments: str) -> str:
    head, end = json.dumps(format_call_head(name)), json.dumps(CALL_END)
    return f"{head} ({arguments}) {end}"
